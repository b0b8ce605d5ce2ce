"""Files of the data folder that lies beside the checkout, or beside the folder of worktrees."""

from __future__ import annotations

from pathlib import Path

import pytest


def shared(name: str) -> Path:
    """``shared/data/NAME``; skips the test when it is nowhere."""
    for up in Path(__file__).resolve().parents:
        path = up / "shared" / "data" / name
        if path.is_file():
            return path
    pytest.skip(f"shared/data/{name} is not beside this checkout")
