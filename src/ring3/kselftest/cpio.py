"""A folder as an initramfs: the "newc" archive that the kernel unpacks into its first root.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ring3.errors import BadInput

_MOST = 0xFFFFFFFF  # a field is eight hexadecimal digits


def archive(folder: Path) -> bytes:
    """Everything below ``folder`` as files of root's, with modes kept and times zero, plus /dev/console.

    The kernel opens /dev/console for init before anything could mount or make it.
    """
    members = [
        _member("dev", stat.S_IFDIR | 0o755),
        _member("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
    ]
    for path in _below(folder):
        name = str(path.relative_to(folder))
        if name in ("dev", "dev/console"):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            members.append(_member(name, mode, os.fsencode(os.readlink(path))))  # noqa: PTH115
        elif stat.S_ISREG(mode):
            members.append(_member(name, mode, path.read_bytes()))
        elif stat.S_ISDIR(mode):
            members.append(_member(name, mode))
        else:
            raise BadInput("only files, folders and links go into an initramfs", where=str(path))
    members.append(_member("TRAILER!!!", 0))
    return b"".join(members)


def _below(folder: Path) -> Iterator[Path]:
    """Parents before children: the kernel makes no folder that has not been named."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _member(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    if len(data) > _MOST:
        raise BadInput("a file of more than 4 GiB does not go into an initramfs", where=name)
    encoded = os.fsencode(name) + b"\0"
    fields = (
        *(0, mode, 0, 0, 1, 0),  # inode, mode, uid, gid, links, time
        *(len(data), 0, 0, *device, len(encoded), 0),  # ..., check
    )
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
