"""Frame by frame with gdb: live processes and cores of C, C++, Rust, Node and Python programs."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sframe_peers import gdb_frames

from ring3.sframe import stack
from ring3.sframe.unwind import How

THREADS = r"""
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#define N __attribute__((noinline))
volatile int sink;
N void waits(int n) { char room[300]; room[n] = n; sink += room[n]; pause(); sink++; }
N int compare(const void *a, const void *b) { waits(3); return *(int *)a - *(int *)b; }
N void sorts(void) { int v[4] = {4, 3, 2, 1}; qsort(v, 4, sizeof *v, compare); sink += v[0]; }
N void handler(int number) { sorts(); sink += number; }
N int recurse(int n) { if (!n) { raise(SIGUSR1); return 0; } return recurse(n - 1) + n; }
static void *thread(void *argument) { sorts(); return argument; }
int main(void) {
  pthread_t one, two;
  signal(SIGUSR1, handler);
  pthread_create(&one, 0, thread, 0); pthread_create(&two, 0, thread, 0);
  return recurse(5);
}
"""
CXX = r"""
#include <algorithm>
#include <functional>
#include <unistd.h>
#include <vector>
struct Base { virtual ~Base() {} virtual int run(int n) = 0; };
struct Derived : Base { int run(int n) override { std::vector<int> v(n, 3); v[n / 2] = 1;
  std::sort(v.begin(), v.end(), [](int a, int b) { if (a != b) pause(); return a < b; }); return v[0]; } };
[[gnu::noinline]] int caught(Base &base) {
  try { throw 3; } catch (int n) { return base.run(n + 20) + 1; }
}
int main() { Derived derived; std::function<int(int)> f = [&](int n) { return caught(derived) + n; };
  return f(2); }
"""
RUST = r"""
use std::{fmt, thread, time::Duration};
struct Deep(u32);
impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0 == 0 { thread::sleep(Duration::from_secs(600)); }
        write!(f, "({})", Deep(self.0 - 1))
    }
}
fn main() {
    let handle = thread::spawn(|| {
        let mut v = vec![3, 1, 2];
        v.sort_by_key(|n| { println!("{}", Deep(*n)); *n });
    });
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handle.join()));
}
"""
PYTHON = """
import functools, time
def deep(n): return time.sleep(600) if n == 0 else sorted([n], key=lambda m: deep(m - 1))
functools.reduce(lambda a, b: deep(6), [1, 2, 3])
"""
NODE = """
const room = new Int32Array(new SharedArrayBuffer(4));
function deep(n) { return n ? [n].map(() => deep(n - 1)) : Atomics.wait(room, 0, 0); }
deep(6);
"""


def assert_agrees(ours: list[stack.ThreadStack], theirs: dict[int, list[int]]) -> int:
    """Every frame that rules gave is gdb's; both end at the same outermost frame.  Counts frames."""
    assert {thread.thread.tid for thread in ours} == set(theirs)
    total = 0
    for thread in ours:
        pcs = [frame.pc for frame in thread.trace.frames]
        expected = theirs[thread.thread.tid]
        guessed = [frame.how is How.FRAME_POINTER for frame in thread.trace.frames]
        if any(guessed):
            # gdb has no rules for JIT code either and reads its instructions; up to there we agree.
            first = guessed.index(True)
            assert first > 3
            pcs, expected = pcs[:first], expected[:first]
        assert pcs == expected, thread.trace
        assert thread.trace.complete
        total += len(pcs)
    return total


@contextlib.contextmanager
def running(command: list[str], threads: int):
    """The program, once it waits with that many threads."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                time.sleep(0.15)
                tasks = list(Path(f"/proc/{child.pid}/task").iterdir())
                states = [
                    (task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks
                ]
                if len(tasks) >= threads and set(states) == {"S"}:
                    break
            yield child
        finally:
            child.kill()


def compiled(tmp_path: Path, name: str, source: str, command: list[str]) -> list[str]:
    path = tmp_path / name
    path.write_text(source)
    program = tmp_path / path.stem
    subprocess.run([*command, path, "-o", program], check=True, cwd=tmp_path)
    return [str(program)]


def program(kind: str, tmp_path: Path, needs) -> tuple[list[str], int]:
    """A command line and how many threads it has in the end."""
    bare = "-fomit-frame-pointer"
    if kind == "c":
        return compiled(tmp_path, "c.c", THREADS, [needs("gcc"), "-O2", bare, "-pthread"]), 3
    if kind == "clang":
        return compiled(tmp_path, "l.c", THREADS, [needs("clang"), "-O2", bare, "-pthread"]), 3
    if kind == "c++":
        return compiled(tmp_path, "x.cc", CXX, [needs("g++"), "-O2", bare]), 1
    if kind == "rust":
        rustc = needs("rustc")
        return compiled(tmp_path, "r.rs", RUST, [rustc, "-O", "-Cforce-frame-pointers=no"]), 2
    if kind == "python":
        return [sys.executable, "-c", PYTHON], 1
    return [needs("node"), "-e", NODE], 7


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["c", "clang", "c++", "rust", "python", "node"])
def test_live_and_core(kind, tmp_path, needs):
    gdb = needs("gdb")
    command, threads = program(kind, tmp_path, needs)
    with running(command, threads) as child:
        theirs = gdb_frames(gdb, tmp_path, "-p", str(child.pid))
        ours = stack.of_process(child.pid)
        assert assert_agrees(ours, theirs) >= 8
        core = tmp_path / "gcore"
        arguments = ["-p", str(child.pid), "-ex", f"generate-core-file {core}"]
        subprocess.run([gdb, "-nx", "-q", "-batch", *arguments], capture_output=True, check=True)
    from_core = stack.of_core(core)
    assert assert_agrees(from_core, theirs) >= 8


@pytest.mark.oracle
def test_a_core_of_the_kernel(tmp_path, needs):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern != "core":
        pytest.skip(f"core_pattern is {pattern}")
    command, threads = program("c", tmp_path, needs)
    here, before = Path.cwd(), resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    os.chdir(tmp_path)
    try:
        with running(command, threads) as child:
            os.kill(child.pid, signal.SIGQUIT)
            child.wait()
    finally:
        os.chdir(here)
        resource.setrlimit(resource.RLIMIT_CORE, before)
    core = next(tmp_path.glob("core*"))
    theirs = gdb_frames(needs("gdb"), tmp_path, command[0], str(core))
    assert assert_agrees(stack.of_core(core), theirs) >= 30
    # Another build in the program's place, of which every address would be right by chance, and none.
    other = ["-O2", "-fomit-frame-pointer", "-pthread", "-Wl,--build-id=0x1234"]
    subprocess.run([needs("gcc"), *other, tmp_path / "c.c", "-o", command[0]], check=True)
    for reason in ("another build-id", "not here"):
        lost = [thread for thread in stack.of_core(core) if not thread.trace.complete]
        assert lost
        assert all(f"({command[0]}: " in thread.why and reason in thread.why for thread in lost)
        Path(command[0]).unlink(missing_ok=True)
