"""Shared by all tests: what a test may need, and how it says that it is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

from ring3 import debian, oracles
from ring3.errors import MissingPart

# A shared machine may take its time; hangs are pytest-timeout's to find.
settings.register_profile("ring3", deadline=None)
settings.load_profile("ring3")


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """``needs("gdb")`` is the path of a program, ``needs("oracle:binutils")`` the folder of an oracle;
    ``needs("package:libc6-dbg")`` is of Debian packages.

    Skips the test, naming what would supply the part, when it is not here.
    """

    def find(part: str) -> str:
        if part.startswith("oracle:"):
            try:
                return str(oracles.find(part.removeprefix("oracle:")))
            except MissingPart as error:
                pytest.skip(str(error))
        if part.startswith("package:"):
            name = part.removeprefix("package:")
            if not debian.installed([name])[name]:
                pytest.skip(f"{name} is not here (apt-get install {name})")
            return name
        path = shutil.which(part)
        if path is None:
            pytest.skip(f"{part} is not here (ring3 doctor says how to get it)")
        return path

    return find
