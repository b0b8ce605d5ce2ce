"""``@njit`` and ``@vectorize``: Numba's, compiled once, and again when a file of the same folder has changed.

Numba keeps compiled code on disk until the file of the function itself changes.  What a function calls, and
the constants it uses, are compiled into it as well, from other files, whose changes Numba would not see.
Where nothing can be kept, every process compiles anew; with ``cache=True`` alone Numba would give up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numba
from numba.core import caching

Function = Callable[..., Any]
_config: Any = numba.config  # its variables are made when it is imported


@cache
def _contents(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


class _UntilAnyChanges:
    """Numba's places for compiled code, each of which is no longer valid when the stamp differs."""

    _py_file: str

    def get_source_stamp(self) -> bytes:
        return _contents(Path(self._py_file).parent)


class Named(_UntilAnyChanges, caching.UserProvidedCacheLocator):
    """The folder that NUMBA_CACHE_DIR names."""


class Beside(_UntilAnyChanges, caching.InTreeCacheLocator):
    """``__pycache__``, where it can be written."""


class OfUser(_UntilAnyChanges, caching.UserWideCacheLocator):
    """The user's own cache folder."""


def _kept(decorator: Callable[..., Any], function: Function, *args: Any, **options: Any) -> Any:
    """``function`` decorated, with ``cache=True`` and the places above if one of them can be written."""
    before = _config.CACHE_LOCATOR_CLASSES
    _config.CACHE_LOCATOR_CLASSES = ",".join(
        f"{__name__}.{place.__name__}" for place in (Named, Beside, OfUser)
    )
    try:
        return decorator(*args, cache=True, **options)(function)
    except RuntimeError:  # none of the places can be written
        return decorator(*args, **options)(function)
    finally:
        _config.CACHE_LOCATOR_CLASSES = before


def njit(
    what: Function | str | None = None, *, inline: Literal["never", "always"] = "never"
) -> Any:
    """``numba.njit`` of a function, or of a signature, which is compiled at once."""
    if callable(what):
        return _kept(numba.njit, what, inline=inline)
    return lambda function: _kept(numba.njit, function, what, inline=inline)


def vectorize(signatures: Sequence[str]) -> Callable[[Function], Any]:
    """``numba.vectorize``: a NumPy ufunc."""
    return lambda function: _kept(numba.vectorize, function, signatures)
