"""A tiny device for the gateway's tests: memory to map, values to read and write, files to wait for."""

from __future__ import annotations

import struct
from errno import EINVAL, ENOTTY

from ring3.dma_buf.file import EPOLLIN, File, Process, Wake, refuse
from ring3.drm.gem import Pages
from ring3.gateway.memory import host_memory
from ring3.kernel import Kernel, State, WaitQueue

# Type 'd': put 16 bytes in, get them back turned round; make a fence file; signal all; wait for it; share.
REVERSE = 3 << 30 | 16 << 16 | ord("d") << 8 | 0x00
FENCE = 2 << 30 | 4 << 16 | ord("d") << 8 | 0x01
SIGNAL = 0 << 30 | ord("d") << 8 | 0x02
WAIT = 0 << 30 | ord("d") << 8 | 0x03
IS_FENCE = 1 << 30 | 4 << 16 | ord("d") << 8 | 0x04
OFFSET = 1 << 40


class Fence(File):
    """Waits until the device says SIGNAL."""

    kind = "toy-fence"

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def poll(self) -> int:
        return EPOLLIN if self.device.signalled else 0

    def on_ready(self, events: int, wake: Wake) -> None:
        self.device.wakers.append(wake)

    def release(self) -> None:
        self.device.released.append(self.kind)


class ToyFile(File):
    """An open toy."""

    kind = "toy"

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        device = self.device
        if cmd == REVERSE:
            data = process.memory.copy_from_user(arg, 16)
            process.memory.copy_to_user(arg, data[::-1])
            return 0
        if cmd == FENCE:
            fd = process.install(Fence(device))
            process.memory.copy_to_user(arg, struct.pack("=i", fd))
            return 0
        if cmd == SIGNAL:
            device.signalled = True
            device.queue.wake_up_all()
            for waker in device.wakers:
                waker()
            return 0
        if cmd == WAIT:
            device.queue.wait_event(lambda: device.signalled, state=State.INTERRUPTIBLE)
            return 7
        if cmd == IS_FENCE:
            (fd,) = struct.unpack("=i", process.memory.copy_from_user(arg, 4))
            return int(isinstance(process.lookup(fd), Fence))
        raise refuse(ENOTTY, "no such ioctl")

    def mmap(self, offset: int, size: int, *, private: bool = False, prot: int = 0) -> Pages:
        if offset != OFFSET or size > self.device.memory.size:
            raise refuse(EINVAL, "no buffer at this offset")
        return self.device.memory

    def release(self) -> None:
        self.device.released.append(self.kind)


class Device:
    """One toy device."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.signalled = False
        self.wakers: list[Wake] = []
        self.released: list[str] = []
        self.queue = WaitQueue(kernel)
        self.memory = Pages(host_memory(0, 8192))

    def open(self, process: Process) -> File:
        return ToyFile(self)
