"""C++ and Rust names as their sources have them.

By __cxa_demangle of the C++ runtime (Itanium C++ ABI, which Rust's older scheme is a dialect of) and, for
Rust's own scheme, c++filt of binutils; without them, names stay as they are.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

_RUST_CRATE = re.compile(r"(?<=\w)\[[0-9a-f]{1,16}\](?=::)")
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RUST_ESCAPES = {
    "$LT$": "<",
    "$GT$": ">",
    "$RF$": "&",
    "$BP$": "*",
    "$C$": ",",
    "$LP$": "(",
    "$RP$": ")",
    "$u20$": " ",
    "$u7b$": "{",
    "$u7d$": "}",
    "$u5b$": "[",
    "$u5d$": "]",
    "$u27$": "'",
    "$u3b$": ";",
    "$u2b$": "+",
    "..": "::",
}


@lru_cache(maxsize=1 << 16)
def demangle(name: str) -> str:
    """A C++ or Rust name as its source has it; any other name unchanged."""
    if name.startswith("_R"):
        return _demangle_rust(name)
    if not name.startswith("_Z"):
        return name
    demangler = _demangler()
    if demangler is None:
        return name
    library, function = demangler
    status = ctypes.c_int()
    raw = function(name.encode(), None, None, ctypes.byref(status))
    if not raw:
        return name
    text = ctypes.cast(raw, ctypes.c_char_p).value or b""
    library.free(raw)
    out = text.decode(errors="replace")
    if _RUST_HASH.search(out):
        out = _RUST_HASH.sub("", out)
        for escape, plain in _RUST_ESCAPES.items():
            out = out.replace(escape, plain)
        out = out.replace("::_<", "::<").removeprefix("_")
    return out


def _demangle_rust(name: str) -> str:
    """One line to c++filt, one line back; crates lose their disambiguators."""
    process = _filter()
    if process is None or process.stdin is None or process.stdout is None or "\n" in name:
        return name
    try:
        process.stdin.write(name.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline().decode(errors="replace").rstrip("\n")
    except OSError:
        return name
    return _RUST_CRATE.sub("", line) or name


@cache
def _filter() -> subprocess.Popen[bytes] | None:
    import subprocess  # seldom needed

    try:
        return subprocess.Popen(["c++filt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError:
        return None


@cache
def _demangler() -> tuple[Any, Any] | None:
    try:
        function: Any = ctypes.CDLL("libstdc++.so.6").__cxa_demangle
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    function.restype = ctypes.c_void_p
    library = ctypes.CDLL(None)
    library.free.argtypes = [ctypes.c_void_p]
    return library, function
