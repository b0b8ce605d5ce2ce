"""The map in ARCHITECTURE.md holds: every module is on it, and imports only go down the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/ring3"
#: The command line's entry reaches down into its own modules, and plumbing belongs to all of it.
ENTRIES = {"__init__", "__main__"}


def floors() -> dict[str, int]:
    """Place -> line of the map's table, from the top."""
    found = {}
    rows = [
        row for row in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if row.startswith("| `")
    ]
    for floor, row in enumerate(rows):
        for name in re.findall(r"`([\w/.]+)`", row.split("|")[1]):
            found[name.removesuffix("/").removesuffix(".py")] = floor
    return found


FLOORS = floors()
FILES = sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The places of ring3 that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts == ["ring3"]:
                names |= {alias.name for alias in node.names}
            elif parts[0] == "ring3":
                names.add(parts[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("ring3.")}
    return names - {"__version__"}


def test_every_place_is_on_the_map() -> None:
    there = {place(path) for path in FILES} - ENTRIES
    assert there - set(FLOORS) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = place(path)
    if here in ENTRIES:
        return
    up = {name for name in imported(path) if FLOORS[name] < FLOORS[here]}
    assert not up, f"{path.relative_to(PACKAGE)} imports {', '.join(sorted(up))} from above"
