"""nolibc: one program built for every architecture whose compiler is here, run, and weighed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ring3.cluster import each, executor
from ring3.errors import MissingPart
from ring3.report import Block, Headline, LeftOut, Picture, Table
from ring3.tour.chapter import Say

if TYPE_CHECKING:
    from ring3.nolibc import sizes

_HELLO = '#include <stdio.h>\nint main(void) { puts("Hello, world!"); return 0; }\n'


def blocks(say: Say) -> Iterator[Block]:
    """The chapter."""
    from ring3.arch import ARCHS
    from ring3.nolibc import sizes, toolchain

    known = [name for name, machine in ARCHS.items() if machine.entry]
    here = [name for name in known if toolchain.compilers(ARCHS[name])]
    rows: dict[str, sizes.Row] = {}
    with executor() as pool:
        for name, row in each(pool, _row, here):
            rows[name] = row
            say(f"built for {len(rows)} of {len(here)} architectures")
    found = [rows[name] for name in here]
    built = [row for row in found if "nolibc" in row.sizes]
    if built:
        smallest = min(built, key=lambda row: row.sizes["nolibc"])
        yield Headline(
            f"{sum(row.ran is True for row in built)} of {len(known)} architectures",
            f"ran one program that is nothing but headers and itself; the smallest is "
            f"{smallest.sizes['nolibc']} bytes ({smallest.arch})",
        )
        chart = sizes.chart(found, "puts", _LIBCS)
        caption = 'puts("Hello, world!"), static and stripped; the floor is what ELF itself needs'
        yield Picture("sizes.svg", chart.encode(), "image/svg+xml", caption)
    yield Table(
        'puts("Hello, world!"), static and stripped: bytes of the file',
        ("architecture", "it ran", *(f"#{libc}" for libc in _LIBCS), "#floor"),
        [
            (
                row.arch,
                _RAN[row.ran] if "nolibc" in row.sizes else "not built",
                *(row.sizes.get(c, "-") for c in _LIBCS),
                row.floor,
            )
            for row in found
        ],
        "All with the same flags; W^X kept and section headers present.",
    )
    missing = [name for name in known if name not in here]
    if missing:
        yield LeftOut(
            f"nolibc for {', '.join(missing)}", "no compiler", "ring3 doctor says how to get them"
        )
    yield from _selftests(say)


#: Selftests of the kernel that change nothing on the machine they run on.
_SELFTESTS = (
    "exec/recursion-depth",
    "filesystems/anon_inode_test",
    "net/reuseaddr_conflict",
    "net/socket",
    "prctl/set-process-name",
    "tmpfs/bug-link-o-tmpfile",
)


def _selftests(say: Say) -> Iterator[Block]:
    """Some of the kernel's own selftests, unmodified, built with nolibc: here and under emulation."""
    from ring3 import linux_source
    from ring3.arch import ARCHS, host
    from ring3.kselftest import discover, pipeline
    from ring3.kselftest.outcome import judge
    from ring3.ktap import Status
    from ring3.nolibc import toolchain

    try:
        folder = linux_source.kernel_source("7.2") / "tools/testing/selftests"
    except MissingPart as error:
        yield LeftOut.because("the kernel's own selftests", error)
        return
    archs = [
        ARCHS[name]
        for name in dict.fromkeys((host().name, "arm64", "riscv64", "s390x"))
        if toolchain.compilers(ARCHS[name]) and toolchain.runner(ARCHS[name]) is not None
    ]
    say(f"{len(_SELFTESTS)} of the kernel's selftests for {len(archs)} architectures")
    sources = [discover.Source(name, folder / f"{name}.c") for name in _SELFTESTS]
    outcomes = pipeline.run_here(sources, archs, pipeline.Options(timeout=20))
    cells: dict[str, list[str]] = {name: [] for name in _SELFTESTS}
    for outcome in outcomes:
        test = judge(outcome)
        good = sum(sub.status is Status.PASS for sub in test.subtests)
        count = f" ({good} of {len(test.subtests)})" if test.subtests else ""
        cells[test.name].append(f"{test.status.value}{count}")
    yield Table(
        "The kernel's own selftests, unmodified, built with nolibc",
        ("selftest of Linux 7.2", *(arch.name for arch in archs)),
        [(name, *found) for name, found in cells.items()],
        "ring3 kselftest runs whole trees of them, here or in a kernel it boots, together with KUnit.",
    )


#: zig's musl is left to ``ring3 nolibc sizes``: it is compiled anew for each architecture.
_LIBCS = ("nolibc", "dietlibc", "musl", "glibc")
_RAN = {True: "yes", False: "no", None: "nothing here runs it"}


def _row(name: str) -> sizes.Row:
    from ring3.arch import by_name
    from ring3.nolibc import sizes

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "hello.c")
        source.write_text(_HELLO)
        return sizes.measure({"puts": source}, [by_name(name)], libcs=_LIBCS)[0]
