"""An open render node: ioctl dispatch, the core's ioctls, mmap.

Dispatch is drm_ioctl's (drivers/gpu/drm/drm_ioctl.c, 7.2): the command's number alone chooses the
handler; an argument that is shorter than the structure is extended with zeros, a longer one is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EACCES, EBADF, EINVAL, ENOTTY, EOPNOTSUPP
from typing import Any

from ring3.dma_buf.cstruct import CStruct, Ioctl, ioc_fields
from ring3.dma_buf.dma_buf import DmaBuf
from ring3.dma_buf.file import File, Memory, Process, refuse
from ring3.drm import gem, uapi
from ring3.drm.device import DriverInfo, DrmDevice, Handler, Plan
from ring3.drm.fdinfo import fdinfo
from ring3.drm.handles import HandleTable
from ring3.drm.syncobj import Syncobj, ioctl_handlers


class DrmFile(File):
    """One open(2) of /dev/dri/renderD*.

    :meth:`ioctl` may sleep: call it in a task of the device's kernel.  ``driver_private`` is the
    driver's.  Closing is :meth:`File.put`.
    """

    kind = "render node"

    def __init__(self, device: DrmDevice, process: Process) -> None:
        super().__init__()
        device.check_alive()
        self.device = device
        self.objects: HandleTable[gem.GemObject] = HandleTable()
        self.syncobjs: HandleTable[Syncobj] = HandleTable()
        device.opens += 1
        self.client_id = device.opens
        self.client_name = b""
        self.driver_private: Any = None
        device.files.append(self)
        device.opened(self)
        if device.recorder is not None:
            device.recorder.opened(self, process)

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        """Serve command ``cmd`` (u32) with its argument at user address ``arg``.  0, or OSError."""
        device = self.device
        if device.unplugged:
            device.check_alive()
        plan = device.plans.get(cmd)
        kind, handler, size_in, size_out = self._plan(cmd) if plan is None else plan
        data = process.memory.copy_from_user(arg, size_in) if size_in else b""
        size = kind.SIZE
        args = kind.unpack(data if len(data) == size else data[:size].ljust(size, b"\0"))
        try:
            result = handler(self, process, args) or 0
        except OSError:
            _copy_out(process, arg, args, size_out)
            raise
        if size_out:
            _copy_out(process, arg, args, size_out)
        return result

    def _plan(self, cmd: int) -> Plan:
        """What to do for a command, of which the number alone says which ioctl it is."""
        direction, magic, nr, size = ioc_fields(cmd)
        if magic != ord("d"):
            raise refuse(ENOTTY, f"{cmd:#x} is no ioctl of DRM")
        found = self.device.ioctls.get(nr) or CORE.get(nr)
        if found is None:
            if nr in PRIMARY_ONLY:
                raise refuse(EACCES, f"ioctl {nr:#x} is not for render nodes")
            raise refuse(EINVAL, f"{self.device.info.name} has no ioctl {nr:#x}")
        ioctl, handler = found
        kind = ioctl.argument
        assert not isinstance(kind, int)
        declared = ioctl.number >> 30 & 3
        size_in = size if direction & declared & 1 else 0
        size_out = size if direction & declared & 2 else 0
        if cmd == ioctl.number:  # any other size is rare, and there are many
            self.device.plans[cmd] = kind, handler, size_in, size_out
        return kind, handler, size_in, size_out

    def poll(self) -> int:
        # Events are those of displays; a render node has none, and nobody can write to it.
        return 0

    def llseek(self, offset: int, whence: int) -> int:
        return 0

    def fdinfo(self) -> str:
        return fdinfo(self)

    def mmap(self, offset: int, size: int, *, private: bool = False, prot: int = 0) -> Memory:
        """The memory behind file ``offset``: a buffer of this file's, from its own start, or a page of
        the device's."""
        self.device.check_alive()
        special = self.device.mmap_special(self, offset, size, private, prot)
        if special is not None:
            return special
        obj, inside = self.device.object_at(offset)
        self.device.check_access(self, offset, obj)
        if inside or size > obj.size:
            raise refuse(EINVAL, f"{size} bytes at {inside:#x} are not the buffer's {obj.size}")
        obj.check_mmap(private)
        return obj.pages()

    def release(self) -> None:
        self.device.closed(self)
        for obj in self.objects.clear():
            gem.handle_dropped(self, obj)
        for syncobj in self.syncobjs.clear():
            syncobj.put()
        self.device.files.remove(self)


def _copy_out(process: Process, arg: int, args: CStruct, size: int) -> None:
    """Copy the argument back, also after an error, which a fault then outweighs."""
    if not size:
        return
    data = args.pack()
    process.memory.copy_to_user(arg, data if len(data) == size else data[:size].ljust(size, b"\0"))


# -- the core's ioctls ----------------------------------------------------------------------------


def _version(file: DrmFile, process: Process, args: uapi.Version) -> None:
    info = file.device.info
    args.version_major, args.version_minor, args.version_patchlevel = info.major, info.minor, 0
    for field, text in (("name", info.name), ("date", info.date), ("desc", info.description)):
        data = text.encode()
        room, address = getattr(args, f"{field}_len"), getattr(args, field)
        setattr(args, f"{field}_len", len(data))
        if address and room:
            process.memory.copy_to_user(address, data[:room])


_CAPS: dict[int, Callable[[DriverInfo], int]] = {
    uapi.DRM_CAP_TIMESTAMP_MONOTONIC: lambda info: 1,
    uapi.DRM_CAP_PRIME: lambda info: uapi.DRM_PRIME_CAP_IMPORT | uapi.DRM_PRIME_CAP_EXPORT,
    uapi.DRM_CAP_SYNCOBJ: lambda info: int(info.syncobj),
    uapi.DRM_CAP_SYNCOBJ_TIMELINE: lambda info: int(info.syncobj_timeline),
}


def _get_cap(file: DrmFile, process: Process, args: uapi.GetCap) -> None:
    args.value = 0
    value = _CAPS.get(args.capability)
    if value is None:
        # The others are capabilities of displays, which a device without them does not answer.
        raise refuse(EOPNOTSUPP, f"GET_CAP: {args.capability:#x} is a capability of displays")
    args.value = value(file.device.info)


def _gem_close(file: DrmFile, process: Process, args: uapi.GemClose) -> None:
    gem.handle_delete(file, args.handle)


def _prime_handle_to_fd(file: DrmFile, process: Process, args: uapi.PrimeHandle) -> None:
    if args.flags & ~(uapi.O_CLOEXEC | uapi.O_RDWR):
        raise refuse(EINVAL, f"PRIME_HANDLE_TO_FD: unknown flags {args.flags:#x}")
    dma_buf = gem.export(file, args.handle, writable=bool(args.flags & uapi.O_RDWR))
    args.fd = process.install(dma_buf, cloexec=bool(args.flags & uapi.O_CLOEXEC))


def _prime_fd_to_handle(file: DrmFile, process: Process, args: uapi.PrimeHandle) -> None:
    dma_buf = process.lookup(args.fd)
    if dma_buf is None:
        raise refuse(EBADF, f"PRIME_FD_TO_HANDLE: no open file {args.fd}")
    if not isinstance(dma_buf, DmaBuf):
        raise refuse(EINVAL, f"PRIME_FD_TO_HANDLE: descriptor {args.fd} is a {dma_buf.kind}")
    args.handle = gem.import_(file, dma_buf)


def _set_client_name(file: DrmFile, process: Process, args: uapi.SetClientName) -> None:
    if args.name_len > uapi.DRM_CLIENT_NAME_MAX_LEN:
        raise refuse(EINVAL, "SET_CLIENT_NAME: more than 64 bytes")
    name = process.memory.copy_from_user(args.name, args.name_len) if args.name_len else b""
    if any(not 0x21 <= byte <= 0x7E for byte in name):
        raise refuse(EINVAL, "SET_CLIENT_NAME: a byte that is not printable, or a space")
    file.client_name = name


#: What the core has for primary nodes: masters, authentication, displays.
PRIMARY_ONLY = frozenset(
    (
        *(0x01, 0x02, 0x05, 0x06, 0x07, 0x0A, 0x0B, 0x0D, 0x10, 0x11, 0x12, 0x13, 0x1E, 0x1F),
        *(0x27, 0x28, 0x2C, 0x3A, 0x3B, 0x3C, 0x3F, 0xCE, 0xD0),
        *range(0xA0, 0xBF),
        *range(0xC6, 0xCA),
    )
)

#: GEM_CHANGE_HANDLE is in the header, but 7.2 refuses it (drm_invalid_op).
_CORE: tuple[tuple[Ioctl, Handler], ...] = (
    (uapi.VERSION, _version),
    (uapi.GET_CAP, _get_cap),
    (uapi.GEM_CLOSE, _gem_close),
    (uapi.PRIME_HANDLE_TO_FD, _prime_handle_to_fd),
    (uapi.PRIME_FD_TO_HANDLE, _prime_fd_to_handle),
    (uapi.SET_CLIENT_NAME, _set_client_name),
    *ioctl_handlers(),
)
CORE = {ioctl.nr: (ioctl, handler) for ioctl, handler in _CORE}
