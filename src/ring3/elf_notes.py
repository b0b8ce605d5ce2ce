"""Notes in ELF files: what PT_NOTE segments and note sections hold (gABI, "Note Section").

On the way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILD_ID = 3  # NT_GNU_BUILD_ID


def notes(raw: bytes, order: str) -> Iterator[tuple[bytes, int, bytes, int]]:
    """(owner without its 0, type, descriptor, size that it should have); ``order`` is "<" or ">".

    The last descriptor is short where ``raw`` is cut off.
    """
    at = 0
    while at + 12 <= len(raw):
        name_size, size, kind = struct.unpack_from(order + "III", raw, at)
        owner = raw[at + 12 : at + 12 + name_size].rstrip(b"\0")
        at += 12 + (name_size + 3 & ~3)
        yield owner, kind, raw[at : at + size], size
        at += size + 3 & ~3


def build_id(raw: bytes, order: str) -> str | None:
    """The GNU build-id among the notes in ``raw``, in hex."""
    for owner, kind, descriptor, size in notes(raw, order):
        if (owner, kind) == (b"GNU", _BUILD_ID) and len(descriptor) == size:
            return descriptor.hex()
    return None
