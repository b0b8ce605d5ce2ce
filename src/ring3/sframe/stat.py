"""What SFrame would cost and lose on files, trees and whole systems."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ring3.cluster import each, executor
from ring3.elf import Elf
from ring3.errors import MissingPart, Ring3Error
from ring3.sframe import load, section, sidecar
from ring3.sframe.decode import decode
from ring3.sframe.encode import encode
from ring3.sframe.image import Image
from ring3.sframe.table import Refusal, Table, signed
from ring3.sframe.verify import compare

_DPKG_LISTS = Path("/var/lib/dpkg/info")
_SHF_EXECINSTR = 4
_FEW = 3  # files for which starting processes takes longer than the work


@dataclass(frozen=True)
class Report:
    """One file converted.  Sizes in bytes; ``error`` says why nothing else is known."""

    path: str
    arch: str = ""
    source: str = ""
    functions: int = 0  # in the section, those that were refused not counted
    rows: int = 0  # before blocks are shared
    code: int = 0  # in executable sections
    covered: int = 0  # of that, in functions of the section
    sframe: int = 0
    sframe_unshared: int = 0
    replaces: int = 0  # .eh_frame and .eh_frame_hdr
    refused: dict[str, int] = field(default_factory=dict)  # Reason's name -> functions
    refused_v2: dict[str, int] = field(default_factory=dict)  # what V2 would leave out
    differences: int | None = None  # disagreements with the source at any pc; None: not verified
    seconds: float = 0.0  # to read and to encode
    error: str = ""


def measure(path: str, verify: bool = False) -> Report:
    """Convert the ELF file at ``path`` in memory and measure; never raises for what the file holds.

    ``verify``: read the section again and compare it with its source at every pc.
    """
    try:
        with Elf(path) as elf:
            source = load.source_of(elf)
            before = time.perf_counter()
            table = load.table(elf, source)
            vaddr = sidecar.address(table)
            made = encode(table, vaddr)
            seconds = time.perf_counter() - before
            code, covered = _coverage(elf, table)
            replaces = load.size_of_cfi(elf)
        differences = None
        if verify:
            again = decode(section.parse(made.data, vaddr))
            verdict = compare(again, _without(table, made.refused))
            differences = verdict.differences + (verdict.extra > 0)
        return Report(
            path,
            table.arch.name,
            source,
            made.functions,
            int(table.functions["row_count"].sum()),
            code,
            covered,
            len(made.data),
            len(encode(table, vaddr, share=False).data),
            replaces,
            dict(Counter(refusal.reason.name for refusal in made.refused)),
            dict(Counter(r.reason.name for r in encode(table, vaddr, version=2).refused)),
            differences,
            seconds,
        )
    except (Ring3Error, OSError) as error:
        return Report(path, error=str(error))


def _without(table: Table, refused: list[Refusal]) -> Table:
    """``table`` without the functions that the section could not say."""
    starts = np.array([refusal.start for refusal in refused], np.int64)
    kept = ~np.isin(table.functions["start"], starts)
    return Table(table.arch, table.functions[kept], table.rows, refused)


def _coverage(elf: Elf, table: Table) -> tuple[int, int]:
    """(bytes in executable sections, those of them in functions with a rule)."""
    image = Image(elf)
    functions = table.functions[table.functions["row_count"] > 0]
    starts = functions["start"]
    reach = np.maximum.accumulate(starts + functions["size"]) if len(starts) else starts
    code = covered = 0
    for held in elf.sections:
        if not held.flags & _SHF_EXECINSTR or not held.size:
            continue
        low = signed(image.addresses[held.index])
        code += held.size
        if len(starts):
            begin = np.clip(np.maximum(starts[1:], reach[:-1]), low, low + held.size)
            begin = np.append(np.clip(starts[:1], low, low + held.size), begin)
            end = np.clip(reach, low, low + held.size)
            covered += int((end - begin).clip(0).sum())
    return code, covered


def elf_files(paths: Iterable[Path]) -> Iterator[str]:
    """The ELF files among ``paths`` and in the trees below them, each file once whatever its names."""
    seen = set()
    for path in paths:
        names = [path] if not path.is_dir() else _below(path)
        for name in names:
            try:
                held = name.stat()
                key = held.st_dev, held.st_ino
                if key in seen or not name.is_file():
                    continue
                seen.add(key)
                with name.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield str(name)
            except OSError:
                continue


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(root, name)


def installed() -> list[Path]:
    """Every file of every installed Debian package.  Raises MissingPart where there is no dpkg."""
    if not _DPKG_LISTS.is_dir():
        raise MissingPart("no list of installed packages", where=str(_DPKG_LISTS))
    names: set[str] = set()
    for listing in _DPKG_LISTS.glob("*.list"):
        names.update(listing.read_text(errors="replace").splitlines())
    return [Path(name) for name in sorted(names) if os.path.isfile(name)]  # noqa: PTH113 - quick


def measure_all(
    files: Sequence[str],
    *,
    verify: bool = False,
    cluster: str | None = None,
    jobs: int | None = None,
) -> Iterator[Report]:
    """Measure every file, in processes of this machine or on the Dask cluster at ``cluster``; in the
    order in which they finish."""
    if len(files) < _FEW and cluster is None:
        yield from (measure(name, verify) for name in files)
        return
    with executor(cluster, jobs) as pool:
        for _, report in each(pool, partial(measure, verify=verify), files):
            yield report


def total(reports: Iterable[Report]) -> Report:
    """The sum of all reports that have no error."""
    whole = [report for report in reports if not report.error]
    refused: Counter[str] = Counter()
    refused_v2: Counter[str] = Counter()
    for report in whole:
        refused.update(report.refused)
        refused_v2.update(report.refused_v2)
    checked = [r.differences for r in whole if r.differences is not None]
    return Report(
        f"{len(whole)} files",
        functions=sum(r.functions for r in whole),
        rows=sum(r.rows for r in whole),
        code=sum(r.code for r in whole),
        covered=sum(r.covered for r in whole),
        sframe=sum(r.sframe for r in whole),
        sframe_unshared=sum(r.sframe_unshared for r in whole),
        replaces=sum(r.replaces for r in whole),
        refused=dict(refused),
        refused_v2=dict(refused_v2),
        differences=sum(checked) if checked else None,
        seconds=sum(r.seconds for r in whole),
    )
