"""Cores of programs that qemu-user runs (AArch64, s390x), and malformed cores."""

import os
import resource
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sframe_peers import gdb_frames

from ring3 import arch
from ring3.errors import Ring3Error
from ring3.sframe import stack
from ring3.sframe.unwind import How

SOURCE = r"""
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#define N __attribute__((noinline))
N int leaf(volatile int *p) { *p += 1; if (SIGNALS) abort(); __builtin_trap(); }
N int big(int n) {
  volatile char room[5000]; memset((void *)room, n, sizeof room);
  volatile int x = room[n & 15]; return leaf((int *)&x) + x;
}
N int with_alloca(int n) {
  volatile char *p = __builtin_alloca(n * 16 + 16); p[0] = n; return big(p[0]) + p[n];
}
N int compare(const void *a, const void *b) { return with_alloca(*(int *)a) - *(int *)b; }
N int sorts(int n) { int v[4] = {n, 3, 2, 1}; qsort(v, 4, sizeof *v, compare); return v[0]; }
N void handler(int number) { volatile int k = number; sorts(k); }
N int recurse(int n) {
  if (n) return recurse(n - 1) + n;
  if (SIGNALS) raise(SIGUSR1); else handler(3);
  return 1;
}
int main(int argc, char **argv) { signal(SIGUSR1, handler); return recurse(5) + argc; }
"""
INNER = ["leaf", "big", "with_alloca", "compare"]
OUTER = ["recurse"] * 6 + ["main"]


def qemu_core(name: str, tmp_path: Path, needs, signals: int, *link: str) -> tuple[Path, Path]:
    """(core, program) of the program above, built without frame pointers, run by qemu-user."""
    tools = arch.by_name(name).toolchain
    compiler, qemu = needs(f"{tools.gcc}-gcc"), needs(f"qemu-{tools.qemu}")
    source = tmp_path / "deep.c"
    source.write_text(SOURCE)
    program = tmp_path / "deep"
    flags = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", f"-DSIGNALS={signals}"]
    subprocess.run([compiler, *flags, *link, source, "-o", program], check=True)
    before = resource.getrlimit(resource.RLIMIT_CORE)
    if before[1] not in (resource.RLIM_INFINITY,):
        pytest.skip("core dumps are limited here")
    subprocess.run(
        [qemu, "-L", f"/usr/{tools.gcc}", program],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1])),
    )
    cores = list(tmp_path.glob("qemu_*.core"))
    assert cores, os.listdir(tmp_path)  # noqa: PTH208
    return cores[0], program


def names(thread: stack.ThreadStack) -> list[str]:
    """Function names, those of libc left out."""
    wanted = {*INNER, *OUTER, "sorts", "handler"}
    found = [f.module.function(f.lookup)[0] for f in thread.trace.frames if f.module]
    return [name for name in found if name in wanted]


@pytest.mark.parametrize("name", ["arm64", "s390x"])
@pytest.mark.parametrize("link", [["-static"], []], ids=["static", "dynamic"])
def test_through_a_signal(name, link, tmp_path, needs):
    core, program = qemu_core(name, tmp_path, needs, 1, *link)
    root = Path(f"/usr/{arch.by_name(name).toolchain.gcc}")
    (thread,) = stack.of_core(core, program, None if link else root)
    assert thread.trace.complete
    assert [how for how in (f.how for f in thread.trace.frames) if how is How.SIGNAL] == [
        How.SIGNAL
    ]
    assert How.FRAME_POINTER not in {f.how for f in thread.trace.frames}
    assert names(thread) == [*INNER, "sorts", "handler", *OUTER]


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "signals"), [("arm64", 0), ("s390x", 0), ("s390x", 1)])
def test_as_gdb_sees_it(name, signals, tmp_path, needs):
    # gdb 13 never ends in AArch64's trampoline under qemu, whence no signals there.
    core, program = qemu_core(name, tmp_path, needs, signals, "-static")
    (theirs,) = gdb_frames(needs("gdb-multiarch"), tmp_path, str(program), str(core)).values()
    (thread,) = stack.of_core(core, program)
    pcs = [frame.pc for frame in thread.trace.frames]
    assert pcs[: len(theirs)] == theirs
    assert len(theirs) >= len(INNER) + 2 + len(OUTER)
    assert thread.trace.complete


@pytest.fixture(scope="module")
def small_core(tmp_path_factory):
    """A core of this machine, made by the kernel's rules but by hand: one thread, one segment."""
    import struct

    note = struct.pack("<III8s", 5, 336, 1, b"CORE\0") + bytes(112 + 27 * 8)
    files = struct.pack("<QQQQQ", 1, 4096, 0x400000, 0x401000, 0) + b"/bin/true\0"
    note += struct.pack("<III8s", 5, len(files), 0x46494C45, b"CORE\0") + files
    note += bytes(-len(note) % 4)
    head = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    at = 64 + 2 * 56
    headers = struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(note), 0, 4)
    headers += struct.pack("<IIQQQQQQ", 1, 5, at + len(note), 0x400000, 0, 64, 4096, 4096)
    return head + headers + note + bytes(range(64))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_lying_core_is_one_error(small_core, tmp_path_factory, data):
    changed = bytearray(small_core)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(0, len(changed)) | st.just(len(changed))) :]
    path = tmp_path_factory.mktemp("core") / "core"
    path.write_bytes(changed)
    try:
        for thread in stack.of_core(path):
            assert thread.trace.frames
    except Ring3Error as error:
        assert str(path) in str(error)
