"""The machine of these tests."""

from __future__ import annotations

import pytest
from mali_machine import Bench


@pytest.fixture
def bench() -> type[Bench]:
    return Bench
