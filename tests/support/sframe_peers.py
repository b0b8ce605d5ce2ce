"""Foreign programs that the tests compare with, and readers of what they print."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Prefix of the tools in the oracle tree for each architecture of ring3.
PREFIX = {"x86_64": "", "arm64": "aarch64-linux-gnu-", "s390x": "s390x-linux-gnu-"}


def tool(tree: str, name: str, arch: str = "x86_64") -> list[str]:
    """The command line that runs a program of the unpacked tree with the tree's own libraries."""
    return [
        f"{tree}/usr/lib64/ld-linux-x86-64.so.2",
        "--library-path",
        f"{tree}/usr/lib/x86_64-linux-gnu",
        f"{tree}/usr/bin/{PREFIX[arch]}{name}",
    ]


def output(command: list[str], *paths: Path | str) -> str:
    """What the command prints; its complaints are ignored."""
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=False)
    return done.stdout


@dataclass
class Interpreted:
    """One FDE as ``readelf --debug-dump=frames-interp`` prints it; rows are (pc, column -> rule)."""

    start: int
    end: int
    rows: list[tuple[int, dict[str, str]]]
    column: int  # the CIE's return address column


_ENTRY = re.compile(r"^([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ (CIE|FDE cie=([0-9a-f]+) pc=(\w+)\.\.(\w+))")


def interpreted(listing: str) -> Iterator[Interpreted]:
    """Parse readelf's interpreted frames.  An FDE without rows of its own has its CIE's."""
    cies: dict[str, dict[str, str]] = {}
    column: dict[str, int] = {}
    columns: list[str] = []
    cie = ""
    entry: Interpreted | None = None
    for line in listing.splitlines():
        match = _ENTRY.match(line)
        if match:
            if entry:
                yield entry
            entry = None
            if match[2] == "CIE":
                cie = match[1]
                cies[cie] = {}
                column[cie] = int(line.rpartition("ra=")[2])
            else:
                start = int(match[4], 16)
                entry = Interpreted(
                    start, int(match[5], 16), [(start, cies[match[3]])], column[match[3]]
                )
        elif line.startswith("   LOC"):
            columns = line.split()[1:]
        elif columns and re.match(r"^[0-9a-f]{16} ", line):
            # "r9 (r9)" is one rule in two words.
            words = re.sub(r" \(\w+\)", "", line).split()
            rules = dict(zip(columns, words[1:], strict=True))
            if entry is None:
                cies[cie] = rules
                continue
            pc = int(words[0], 16)
            if pc == entry.rows[-1][0]:
                entry.rows.pop()
            entry.rows.append((pc, rules))
        elif not line.strip():
            columns = []
    if entry:
        yield entry


GDB = """
import gdb, json
out = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, pcs = gdb.newest_frame(), []
    while frame is not None and len(pcs) < 500:
        # Tail calls are guessed from debug information: they have no frame.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    out[thread.ptid[1]] = pcs
print("FRAMES " + json.dumps(out))
"""


def gdb_frames(gdb: str, tmp_path: Path, *arguments: str) -> dict[int, list[int]]:
    """Thread -> pcs of its physical frames, as gdb sees them."""
    script = tmp_path / "frames.py"
    script.write_text(GDB)
    settings = [
        "set debuginfod enabled off",
        "set backtrace past-main on",
        "set backtrace past-entry on",
    ]
    command = [gdb, "-nx", "-q", "-batch"]
    for setting in settings:
        command += ["-iex", setting]
    shown = subprocess.run(
        [*command, *arguments, "-x", str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    line = next((line for line in shown.stdout.splitlines() if line.startswith("FRAMES ")), None)
    assert line, shown.stdout + shown.stderr
    return {int(tid): pcs for tid, pcs in json.loads(line[7:]).items()}
