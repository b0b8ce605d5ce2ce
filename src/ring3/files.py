"""Files: written whole or not at all, and the one cache folder."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from pathlib import Path

#: Bytes of a file that is read as a whole.  /dev/zero has no end, but memory has.
LARGEST_INPUT = 256 << 20


def write_atomically(
    path: Path, data: bytes | bytearray | str, *, like: Path | None = None
) -> None:
    """Write ``data`` to ``path`` so that at every moment the old or the new content is there, whole.

    Keeps the mode of a file that it replaces, or takes mode, owner and extended attributes of the file
    ``like``, as far as this user may; follows symlinks to the file they name.
    """
    # These bring half the library, and most commands write nothing.
    import tempfile
    from pathlib import Path

    path = Path(path)
    if isinstance(data, str):
        data = data.encode()
    if path.is_file() and path.is_symlink():
        path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(path.parent))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # /dev/stdout, a pipe: there is nothing to replace
            return
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            if like is not None:
                _become_like(temporary, like)
            else:
                mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
                Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        error.filename = str(path)  # of the temporary file nobody knows
        error.filename2 = None
        raise


def _become_like(path: str, like: Path) -> None:
    kept = os.stat(like)
    mode = kept.st_mode & 0o7777
    try:
        os.chown(path, kept.st_uid, kept.st_gid)
    except OSError:
        made = os.stat(path)
        if (made.st_uid, made.st_gid) != (kept.st_uid, kept.st_gid):
            mode &= ~0o6000  # set-user-ID of another user is another right
    for name in os.listxattr(like):
        try:
            os.setxattr(path, name, os.getxattr(like, name))
        except OSError:
            continue  # not every file system and user can
    os.chmod(path, mode)


def require_regular(path: Path | str) -> None:
    """Raise BadInput unless ``path`` is a regular file: devices have no end, pipes perhaps no writer.

    Raises OSError where there is nothing.
    """
    import stat

    from ring3.errors import BadInput

    if not stat.S_ISREG(os.stat(path).st_mode):
        raise BadInput("not a regular file", where=str(path), remedy="copy it into one")


def map_input(path: Path | str) -> mmap.mmap | bytes:
    """All of a regular file, mapped, or read where it is empty or cannot be mapped.

    Raises BadInput, and OSError with its name.
    """
    import mmap

    require_regular(path)
    with open(path, "rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):
            return read_input(path)


def read_input(path: Path | str) -> bytes:
    """All of a file, a pipe's or a device's, too.

    Raises BadInput beyond LARGEST_INPUT, and OSError with its name.
    """
    from ring3.errors import BadInput

    data = bytearray()
    try:
        with open(path, "rb") as file:
            while len(data) <= LARGEST_INPUT and (piece := file.read(1 << 20)):
                data += piece
    except OSError as error:
        error.filename = str(path)
        raise
    if len(data) > LARGEST_INPUT:
        raise BadInput(f"larger than {LARGEST_INPUT >> 20} MiB", where=str(path))
    return bytes(data)


def cache_folder(*parts: str) -> Path:
    """``$XDG_CACHE_HOME/ring3/PARTS`` (default ``~/.cache``), made if need be.

    Everything in it can be deleted at any time and comes back.  OSError says how to have it elsewhere.
    """
    from pathlib import Path

    folder = Path(cache_path(*parts))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        error.filename = str(folder)
        error.strerror = f"no cache folder: {error.strerror} (XDG_CACHE_HOME says where)"
        raise
    return folder


def cache_path(*parts: str) -> str:
    """Where :func:`cache_folder` keeps ``parts``, whether it is there or not."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "ring3", *parts)


def _umask() -> int:
    # The only way to read it is to set it; /proc says the same without the race.
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
