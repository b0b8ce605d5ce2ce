"""The audit's own small tree: C files of ours, each pattern marked on its line by ``LINE name``."""

from __future__ import annotations

import re

import pytest

from ring3.audit.run import SAMPLE, Report, audit

TREE = SAMPLE


@pytest.fixture(scope="session")
def marks() -> dict[tuple[str, int], str]:
    """(file, line) -> mark."""
    found = {}
    for path in sorted(TREE.glob("*.c")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            mark = re.search(r"LINE ([\w-]+)", line)
            if mark:
                found[path.name, number] = mark.group(1)
    return found


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The audit of the small tree, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return audit(TREE)
