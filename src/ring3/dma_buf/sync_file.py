"""sync_file: a fence as a file descriptor.  Semantics of drivers/dma-buf/sync_file.c (7.2)."""

from __future__ import annotations

from errno import EINVAL, ENOENT, ENOTTY

from ring3.dma_buf import uapi
from ring3.dma_buf.containers import merge, unwrap
from ring3.dma_buf.cstruct import signed
from ring3.dma_buf.fence import DmaFence, shown_names
from ring3.dma_buf.file import EPOLLIN, File, Process, Wake, install_and_tell, read_struct, refuse


class SyncFile(File):
    """An open sync_file; its fence never changes."""

    kind = "sync_file"
    writable = False

    def __init__(self, fence: DmaFence, user_name: bytes = b"") -> None:
        super().__init__()
        self.fence = fence
        self.user_name = user_name

    def name(self) -> bytes:
        """What user space called it, or driver-timeline context-seqno."""
        if self.user_name:
            return self.user_name
        driver, timeline = shown_names(self.fence)
        seqno = signed(self.fence.seqno)
        return f"{driver}-{timeline}{self.fence.context}-{seqno}".encode()[:31]

    def poll(self) -> int:
        return EPOLLIN if self.fence.is_signaled() else 0

    def on_ready(self, events: int, wake: Wake) -> None:
        if events & EPOLLIN and not self.fence.add_callback(lambda _: wake()):
            wake()

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        if cmd == uapi.SYNC_IOC_MERGE.number:
            return self._merge(process, arg)
        if cmd == uapi.SYNC_IOC_FILE_INFO.number:
            return self._info(process, arg)
        if cmd == uapi.SYNC_IOC_SET_DEADLINE.number:
            return self._set_deadline(process, arg)
        raise refuse(ENOTTY, f"a sync_file has no ioctl {cmd:#x}")

    def _merge(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.SyncMergeData, arg)
        if data.flags or data.pad:
            raise refuse(EINVAL, "SYNC_IOC_MERGE: flags and pad are zero")
        other = sync_file_of(process, data.fd2, ENOENT)
        fence = merge(self.fence.fences, [self.fence, other.fence])
        data.name = c_string(data.name[:31])
        merged = SyncFile(fence, data.name)
        install_and_tell(process, merged, data, "fence", arg)
        return 0

    def _info(self, process: Process, arg: int) -> int:
        info = read_struct(process, uapi.SyncFileInfo, arg)
        if info.flags or info.pad:
            raise refuse(EINVAL, "SYNC_IOC_FILE_INFO: flags and pad are zero")
        inside = list(unwrap(self.fence))
        if info.num_fences == 0:
            info.status = self.fence.status()
        elif info.num_fences < len(inside):
            raise refuse(EINVAL, f"SYNC_IOC_FILE_INFO: room for {info.num_fences} of {len(inside)}")
        else:
            infos = [_fence_info(fence) for fence in inside]
            info.status = 1
            for each in infos:
                info.status = info.status if info.status <= 0 else each.status
            packed = b"".join(each.pack() for each in infos)
            process.memory.copy_to_user(info.sync_fence_info, packed)
        info.name = self.name()
        info.num_fences = len(inside)
        process.memory.copy_to_user(arg, info.pack())
        return 0

    def _set_deadline(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.SyncSetDeadline, arg)
        if data.pad:
            raise refuse(EINVAL, "SYNC_IOC_SET_DEADLINE: pad is zero")
        self.fence.set_deadline(signed(data.deadline_ns))
        return 0


def _fence_info(fence: DmaFence) -> uapi.SyncFenceInfo:
    driver, timeline = shown_names(fence)
    status = fence.status()
    return uapi.SyncFenceInfo(
        obj_name=timeline.encode()[:31],
        driver_name=driver.encode()[:31],
        status=status,
        timestamp_ns=fence.timestamp if status else 0,
    )


def c_string(data: bytes) -> bytes:
    """Up to the first NUL."""
    return data.split(b"\0", 1)[0]


def sync_file_of(process: Process, fd: int, errno: int) -> SyncFile:
    """The sync_file of descriptor ``fd``; ``errno`` if there is none or it is something else."""
    file = process.lookup(fd)
    if not isinstance(file, SyncFile):
        raise refuse(errno, f"descriptor {fd} is no sync_file")
    return file
