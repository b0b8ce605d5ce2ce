"""``@njit`` for the loops of this folder: compiled once, and again when a file of the folder has changed.

Numba keeps compiled code on disk until the file of the loop itself changes.  What a loop calls, and the
constants it uses, are compiled into it as well, from other files, whose changes Numba would not see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numba
from numba.core import caching


def _contents() -> bytes:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


_CONTENTS = _contents()
_config: Any = numba.config  # its variables are made when it is imported


class _UntilAnyChanges:
    """Numba's places for compiled code, each of which is no longer valid when the stamp differs."""

    def get_source_stamp(self) -> bytes:
        return _CONTENTS


class Named(_UntilAnyChanges, caching.UserProvidedCacheLocator):
    """The folder that NUMBA_CACHE_DIR names."""


class Beside(_UntilAnyChanges, caching.InTreeCacheLocator):
    """``__pycache__``, where it can be written."""


class OfUser(_UntilAnyChanges, caching.UserWideCacheLocator):
    """The user's own cache folder."""


def njit(
    loop: Callable[..., Any] | None = None, *, inline: Literal["never", "always"] = "never"
) -> Any:
    """``numba.njit`` with ``cache=True`` and the places above; ``inline`` as Numba has it."""
    if loop is None:
        return partial(njit, inline=inline)
    before = _config.CACHE_LOCATOR_CLASSES
    _config.CACHE_LOCATOR_CLASSES = ",".join(
        f"{__name__}.{place.__name__}" for place in (Named, Beside, OfUser)
    )
    try:
        return numba.njit(cache=True, inline=inline)(loop)
    except RuntimeError:  # none of the places can be written: compiled anew in each process
        return numba.njit(inline=inline)(loop)
    finally:
        _config.CACHE_LOCATOR_CLASSES = before
