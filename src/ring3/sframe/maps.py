"""/proc/PID/maps, and how to open what it names: deleted, replaced, in another mount namespace.

Format: proc_pid_maps(5).  On the way of ``ring3 stack``: imports nothing heavy (see
:mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import os

from ring3.errors import MissingPart

_MOST_PERF_MAP = 64 << 20


class Mapping:
    """One line of /proc/PID/maps; ``path`` is "" for anonymous memory."""

    def __init__(
        self,
        start: int,
        end: int,
        executable: bool,
        offset: int,
        device: tuple[int, int],
        inode: int,
        path: str,
    ) -> None:
        self.start = start
        self.end = end
        self.executable = executable
        self.offset = offset
        self.device = device
        self.inode = inode
        self.path = path

    @property
    def file(self) -> bool:
        """Whether a file is mapped (not anonymous memory, a stack, the vDSO)."""
        return self.inode != 0 and self.path.startswith("/")


def parse(text: str) -> list[Mapping]:
    """The mappings of the text of a maps file, in its order (ascending); odd lines are left out."""
    out = []
    for line in text.split("\n"):
        part = line.split(None, 5)
        if len(part) < 5 or "-" not in part[0]:
            continue
        try:
            start, end = (int(word, 16) for word in part[0].split("-"))
            major, minor = (int(word, 16) for word in part[3].split(":"))
            offset, inode = int(part[2], 16), int(part[4])
        except ValueError:
            continue
        # The kernel writes a newline of a name as \012, and adds " (deleted)".
        path = part[5].replace("\\012", "\n") if len(part) > 5 else ""
        out.append(Mapping(start, end, "x" in part[1], offset, (major, minor), inode, path))
    return out


def of_process(pid: int) -> list[Mapping]:
    """The mappings of a running process; MissingPart when there is none or it may not be read."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return parse(file.read().decode(errors="surrogateescape"))
    except (FileNotFoundError, ProcessLookupError):
        raise MissingPart("no such process", where=f"pid {pid}") from None
    except PermissionError:
        raise MissingPart(
            "its memory map may not be read",
            where=f"pid {pid}",
            remedy="run as its user or as root",
        ) from None


def open_mapped(pid: int, mapping: Mapping) -> int | None:
    """A file descriptor of the very file that is mapped, even if deleted or replaced; else None.

    In this order: the path if it is still that inode, seen from here or from the process's root;
    /proc/PID/map_files, which needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    """
    for path in (mapping.path, f"/proc/{pid}/root{mapping.path}"):
        fd = _open(path)
        if fd is None:
            continue
        found = os.fstat(fd)
        # The device numbers of maps and stat differ on btrfs and overlayfs; the inode is enough there.
        if found.st_ino == mapping.inode:
            return fd
        os.close(fd)
    return _open(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}")


def perf_map(pid: int) -> bytes:
    """The symbol file that a JIT compiler keeps for perf, /tmp/perf-PID.map; b"" without one."""
    for path in (f"/proc/{pid}/root/tmp/perf-{pid}.map", f"/tmp/perf-{pid}.map"):
        try:
            with open(path, "rb") as file:
                return file.read(_MOST_PERF_MAP)
        except OSError:
            continue
    return b""


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
