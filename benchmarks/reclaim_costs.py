"""What reclaim costs on the running kernel: the basis of the constants in src/ring3/mm/costs.py.

    sudo python benchmarks/reclaim_costs.py

In a memory cgroup of its own (version 1, memory.force_empty; or version 2, memory.reclaim) it fills the
page cache with a file, then the inode and dentry caches with empty files, lets the kernel reclaim each, and
divides the writer's system time by what went.  Nothing outside is touched.  The least of several
turns is printed: other work on the machine only adds.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ring3.mm import costs

PAGES = 16_384
FILES = 10_000
TURNS = 5


def system_ns(run: Callable[[], object]) -> int:
    """System time of this process during ``run``, in ns."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    run()
    return round((resource.getrusage(resource.RUSAGE_SELF).ru_stime - before) * 1e9)


class Cgroup:
    """A memory cgroup with this process in it."""

    def __init__(self) -> None:
        first = Path("/sys/fs/cgroup/memory")
        self.parent = first if first.is_dir() else Path("/sys/fs/cgroup")
        self.first = first.is_dir()
        self.path = self.parent / f"ring3-{os.getpid()}"
        self.path.mkdir()
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def reclaim(self) -> None:
        """Everything that is not in use goes."""
        with contextlib.suppress(OSError):
            if self.first:
                (self.path / "memory.force_empty").write_text("0")
            else:
                (self.path / "memory.reclaim").write_text("1G")

    def close(self) -> None:
        (self.parent / "cgroup.procs").write_text(str(os.getpid()))
        with contextlib.suppress(OSError):
            self.path.rmdir()


def page_ns(cgroup: Cgroup, folder: Path) -> float:
    """To look at a clean page of the page cache and free it."""
    path = folder / "pages"
    path.write_bytes(os.urandom(4096) * PAGES)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        # Without read-ahead the pages are single ones, as in the model.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for page in range(PAGES):
            os.pread(file.fileno(), 1, page * 4096)
    return system_ns(cgroup.reclaim) / PAGES


def object_ns(cgroup: Cgroup, folder: Path) -> float:
    """To evict an inode with nothing pending, or its dentry."""
    for number in range(FILES):
        (folder / f"file{number}").touch()
    os.sync()
    cgroup.reclaim()
    for number in range(FILES):
        (folder / f"file{number}").stat()
    return system_ns(cgroup.reclaim) / (2 * FILES)


def fault_ns() -> float:
    """To take a page from the free list, clear it and map it: a page fault."""
    with mmap.mmap(-1, PAGES * 4096) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)

        def touch() -> None:
            for page in range(PAGES):
                memory[page * 4096] = 1

        return system_ns(touch) / PAGES


def main() -> None:
    """Measure and print beside what is declared."""
    if os.geteuid():
        sys.exit("only root may make a cgroup")
    cgroup = Cgroup()
    try:
        rows = {"PAGE_FAULT": [], "SCAN_PAGE": [], "SCAN_OBJECT": []}
        for _ in range(TURNS):
            rows["PAGE_FAULT"].append(fault_ns())
            with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
                rows["SCAN_PAGE"].append(page_ns(cgroup, Path(name)))
                rows["SCAN_OBJECT"].append(object_ns(cgroup, Path(name)))
    finally:
        cgroup.close()
    for name, found in rows.items():
        print(f"{name:12} measured {min(found):7.0f} ns   declared {getattr(costs, name):6} ns")


if __name__ == "__main__":
    main()
