"""Every instruction of prologues, epilogues, PLT stubs and signal handlers, against what calls pushed."""

import os
import signal
import subprocess

import pytest
import single_steps

from ring3.elf import Elf
from ring3.sframe import maps
from ring3.sframe.process import ProcessMemory
from ring3.sframe.stack import ProcessModules
from ring3.sframe.unwind import Stop, unwind

SOURCE = r"""
#include <alloca.h>
#include <immintrin.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N __attribute__((noinline))
volatile int sink;
char path[64];

N int leaf(int a) { return a * 3 + sink; }
N int pushes(int a, int b, int c) {
  int d = leaf(a), e = leaf(b), f = leaf(c);
  return d + e * f + leaf(d ^ e ^ f);
}
N int big(int n) { volatile char room[9000]; memset((void *)room, n, sizeof room); return room[n & 31]; }
N int with_alloca(int n) { volatile char *p = alloca(n * 16); p[0] = n; sink += p[0]; return big(n) + p[0]; }
N int aligned(int n, ...) {                        /* realigns the stack: DRAP */
  __attribute__((aligned(64))) volatile char room[128];
  va_list list; va_start(list, n); int m = va_arg(list, int); va_end(list);
  volatile char *p = alloca(n); p[0] = m; room[3] = n; return leaf(room[3]) + p[0];
}
N int compare(const void *a, const void *b) { return leaf(*(const int *)a) - leaf(*(const int *)b); }
N int sorts(int n) { int v[6] = {n, 5, 4, 3, 2, 1}; qsort(v, 6, sizeof *v, compare); return v[0]; }
N int recurse(int n) { return n ? recurse(n - 1) + leaf(n) : pushes(1, 2, 3); }
N void handler(int number) { sink += pushes(number, 1, 2); }
N int signals(void) { raise(SIGUSR1); return sink; }
N int early(int n) {
  if (n & 1) return leaf(n);
  if (n & 2) return with_alloca(n) + 1;
  return pushes(n, n, n);
}
N int tail(int n) { return n > 3 ? early(n - 1) : leaf(n); }
N int work(void) {
  int total = recurse(4) + with_alloca(9) + aligned(24, 7) + sorts(9);
  for (int n = 0; n < 6; n++) total += early(n) + tail(n);
  total += signals();
  snprintf(path, sizeof path, "%d", total);        /* through the PLT, and lazily */
  total += atoi(path) + (int)strtol("77", 0, 10) + (int)getpid();
  return total;
}
int main(void) { signal(SIGUSR1, handler); return work() == 0; }
"""

BUILDS = {
    "gcc-O2": ["gcc", "-O2"],
    "gcc-O0-cet": ["gcc", "-O0", "-fcf-protection=full"],
    "gcc-Os": ["gcc", "-Os"],
    "clang-O2": ["clang", "-O2"],
}


@pytest.mark.parametrize("build", BUILDS)
def test_every_instruction(tmp_path, needs, build):
    compiler = BUILDS[build]
    needs(compiler[0])
    needs("package:libc6-dbg")  # names _dl_runtime_resolve
    source = tmp_path / "steps.c"
    source.write_text(SOURCE)
    program = tmp_path / "steps"
    flags = ["-fomit-frame-pointer", "-Wl,-z,lazy", "-Wl,--build-id", "-o", program]
    subprocess.run([*compiler, source, *flags], check=True)
    with Elf(program) as elf:
        symbols = {elf.symbols.name(n): int(elf.symbols.addr[n]) for n in range(len(elf.symbols))}
    pid = single_steps.launch(program)
    try:
        mapped = next(m for m in maps.of_process(pid) if m.executable and m.path == str(program))
        first = ProcessModules(pid, ProcessMemory(pid)).find(mapped.start)
        single_steps.run_to(pid, first.bias + symbols["work"])
        modules = ProcessModules(pid, ProcessMemory(pid))
        outer = None
        seen = 0
        places: dict[str, int] = {}
        faults = []
        for stop in single_steps.step(pid, 400_000):
            module = modules.find(stop.registers.pc)
            # Inside libc every instruction of the signal path counts, of the rest one in eleven.
            seen += 1
            if module is None or (module.name != str(program) and seen % 11):
                continue
            trace = unwind(stop.registers, stop.memory.word, modules, single_steps.ABI)
            pcs = [frame.pc for frame in trace.frames]
            if outer is None:
                outer = pcs[2:]
            expected = [stop.registers.pc, *stop.returns, *outer]
            name = module.function(stop.registers.pc)[0]
            places[name] = places.get(name, 0) + 1
            if trace.stop is Stop.REGISTER:
                # The lazy binder's CFA is RBX, which SFrame follows in the innermost frame only.
                assert pcs == expected[: len(pcs)]
                binder = trace.frames[-1]
                assert binder.module.function(binder.pc)[0].startswith("_dl_runtime_resolve")
            elif pcs != expected or not trace.complete:
                faults.append((name, hex(stop.registers.pc - module.bias), trace.stop.name))
        assert not faults, f"{len(faults)} of {sum(places.values())}: {faults[:20]}"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert {"leaf", "big", "aligned", "compare", "handler", "[plt]"} <= set(places), places
    assert sum(places.values()) > 1000
