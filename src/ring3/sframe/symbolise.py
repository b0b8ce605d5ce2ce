"""Addresses to names: symbol tables, the symbol files of JIT compilers, demangling.

perf-PID.map: ``tools/perf/Documentation/jit-interface.txt`` (one "START SIZE name" a line, in hex).
Demangling is __cxa_demangle of the C++ runtime (Itanium C++ ABI, which Rust's older scheme is a dialect of)
and, for Rust's own scheme, c++filt of binutils; without them, names stay as they are.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
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
_MOST_LINES = 1 << 21


@dataclass(frozen=True)
class Symbols:
    """Function symbols sorted by address; ``name[n]`` is an offset into ``strings``, ended by a zero.

    ``addr`` and ``size`` hold u64, ``name`` u32; size 0 means "as far as the next".
    """

    addr: memoryview | array[int]
    size: memoryview | array[int]
    name: memoryview | array[int]
    strings: memoryview | bytes

    def find(self, addr: int) -> int:
        """Index of the symbol that holds ``addr``, or -1."""
        index = bisect_right(self.addr, addr) - 1
        if index < 0:
            return -1
        size = self.size[index]
        return index if size == 0 or addr - self.addr[index] < size else -1

    def text(self, index: int) -> str:
        """The name of symbol ``index``, mangled, without its version, up to 4 KiB of it."""
        start = self.name[index]
        name = bytes(self.strings[start : start + 4096]).split(b"\0")[0].split(b"@")[0]
        return name.decode(errors="replace")


NO_SYMBOLS = Symbols(array("Q"), array("Q"), array("I"), b"")


def read_perf_map(data: bytes) -> Symbols:
    """The symbols of a perf-PID.map; of entries at one address the last counts, odd lines are skipped."""
    found: dict[int, tuple[int, bytes]] = {}
    for line in data.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        part = line.split(None, 2)
        if len(part) < 3:
            continue
        try:
            start, size = int(part[0], 16), int(part[1], 16)
        except ValueError:
            continue
        if 0 <= start < 1 << 63 and 0 < size < 1 << 40:
            found[start] = (size, part[2])
    addr, sizes, names = array("Q"), array("Q"), array("I")
    strings = bytearray()
    for start in sorted(found):
        size, name = found[start]
        addr.append(start)
        sizes.append(size)
        names.append(len(strings))
        strings += name + b"\0"
    return Symbols(addr, sizes, names, bytes(strings))


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
