"""The gateway: clients' calls in, the simulated kernel's answers out.

Everything runs on one thread, inside the simulated kernel's loop: its real clock waits for the listener,
the sockets and the descriptors of :mod:`ring3.gateway.handles` together.  Each call is a task, so a call
that waits blocks its caller and nobody else.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EBADF, EINVAL, EIO, ENODEV, ENOENT, ESRCH
from pathlib import Path
from typing import Protocol

from ring3.dma_buf.file import EventFd, File, Process, refuse
from ring3.gateway import seccomp
from ring3.gateway.handles import DEVICE_MARK, Handles
from ring3.gateway.memory import memfd_of
from ring3.gateway.redirect import map_in
from ring3.gateway.remote import RemoteMemory, take_descriptor, thread_group
from ring3.kernel import Kernel, State, Task

# The protocol of preload.c: struct request and struct reply.
_REQUEST = struct.Struct("=IiQQQ256s")
_REPLY = struct.Struct("=Iiq")
_HELLO, _OPEN, _STAT, _IOCTL, _MMAP, _INSTALLED = range(1, 7)
_DONE, _INSTALL = 1, 2
_COOKIE = struct.pack("=Q", 0x72696E6733206777)


@dataclass(frozen=True)
class Device:
    """A device node: how it is opened, and its number."""

    open: Callable[[Process], File]
    rdev: int


class Client(Process):
    """A real process.  Its memory and its descriptors are the real ones.

    ``install`` belongs to one call: each carrier (seccomp, socket) brings its own way of putting a
    descriptor into the process.
    """

    def __init__(self, gateway: Gateway, pid: int) -> None:
        comm = ""
        with suppress(OSError):
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
        super().__init__(comm, memory=RemoteMemory(pid))
        self.pid = pid
        self.gateway = gateway

    def lookup(self, fd: int) -> File | None:
        found = self.gateway.handles.of(self.pid, fd)
        return self._foreign(fd) if found is None else found

    def install(self, file: File, *, cloexec: bool = True) -> int:
        carrier = self.gateway.carriers[self.gateway.kernel.current]
        fresh = self.gateway.handles.descriptor(file)
        try:
            return carrier.install(fresh, cloexec)
        finally:
            os.close(fresh)

    def close(self, fd: int) -> None:
        """Nobody can close another process's descriptor; after a failed call it keeps one too many."""

    def _foreign(self, fd: int) -> File | None:
        """A file of the host's own: an eventfd can be signalled, anything else is only a number."""
        try:
            target = os.readlink(f"/proc/{self.pid}/fd/{fd}")  # noqa: PTH115
        except OSError:
            return None
        if target == "anon_inode:[eventfd]":
            return HostEventFd(take_descriptor(self.pid, fd))
        return File()


class HostEventFd(EventFd):
    """An eventfd of the host, taken from a client."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self.refs = 0  # nobody holds it but who asks for it now

    def signal(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._fd, 1)

    def __del__(self) -> None:
        os.close(self._fd)


class Carrier(Protocol):
    """One call on its way: how it installs descriptors."""

    def install(self, fd: int, cloexec: bool) -> int:
        """Duplicate ``fd`` into the caller's process; its number there."""


class Gateway:
    """All clients of one simulated kernel.  ``devices`` maps paths to device nodes."""

    def __init__(self, kernel: Kernel, devices: Mapping[str, Device]) -> None:
        self.kernel = kernel
        self.devices = dict(devices)
        self.handles = Handles(kernel)
        self.carriers: dict[Task, Carrier] = {}
        self.clients: dict[int, Client] = {}
        self._idle: list[Task] = []
        self._work: dict[Task, tuple[Carrier, Callable[[int], None], Callable[[], int]]] = {}
        self._exits: dict[int, int] = {}  # pid -> pidfd
        self._folder = Path(tempfile.mkdtemp(prefix="ring3-gateway-"))
        self.socket = self._folder / "socket"
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(str(self.socket))
        self._door.listen(64)
        self._door.setblocking(False)
        kernel.add_reader(self._door.fileno(), self._accept)
        self._connections: set[Connection] = set()
        self._listeners: list[Supervisor] = []

    def client(self, pid: int) -> Client:
        """The client that process ``pid`` is; ESRCH when it is gone."""
        found = self.clients.get(pid)
        if found is None:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                raise refuse(ESRCH, f"process {pid} is gone") from None
            found = self.clients[pid] = Client(self, pid)
            self._exits[pid] = pidfd
            self.kernel.add_reader(pidfd, lambda: self._gone(pid))
        return found

    def spawn(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Start a native program under the seccomp filter; its pid."""
        pid, listener = seccomp.start(
            command, dict(os.environ if environment is None else environment)
        )
        self._listeners.append(Supervisor(self, listener))
        return pid

    def wait(self, pid: int) -> int:
        """Serve until child ``pid`` has ended; its exit status as subprocess has it (-n: signal)."""
        pidfd = os.pidfd_open(pid)
        ended = [False]

        def end() -> None:
            ended[0] = True
            self.kernel.remove_reader(pidfd)

        self.kernel.add_reader(pidfd, end)
        self.kernel.run(until=lambda: ended[0])
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        # What it held is released by events that may come after its end.
        self.kernel.run(until_time=self.kernel.now() + 20_000_000)
        return os.waitstatus_to_exitcode(status)

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Run a native program to its end under the seccomp filter; its exit status."""
        return self.wait(self.spawn(command, environment))

    def close(self) -> None:
        """Stop serving; forget every client."""
        for supervisor in self._listeners:
            supervisor.close()
        for connection in list(self._connections):
            connection.close()
        for pid in list(self._exits):
            self._gone(pid)
        self.kernel.remove_reader(self._door.fileno())
        self._door.close()
        self.handles.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # What both carriers ask for.

    def open(self, client: Client, path: str, flags: int) -> int:
        """Open a device node for ``client``; a descriptor to hand over and close."""
        device = self.devices.get(path)
        if device is None:
            raise refuse(ENOENT, f"no device {path}")
        return self.handles.device(device.open(client), device.rdev)

    def ioctl(self, client: Client, fd: int, cmd: int, arg: int) -> int:
        """Do an ioctl of ``client`` on one of our files."""
        file = client.file(fd)
        return file.ioctl(client, cmd, arg)

    def mapping(self, client: Client, fd: int, offset: int, size: int) -> int:
        """The host file that a mapping shows, from its start; it stays ours."""
        file = self.handles.of(client.pid, fd)
        if file is None:
            raise refuse(EBADF, f"descriptor {fd} is not ours")
        memfd = memfd_of(file.mmap(offset, size))
        if memfd is None:
            raise refuse(ENODEV, "this memory lies in no host file")
        return memfd

    def serve(
        self, carrier: Carrier, answer: Callable[[int], None], call: Callable[[], int]
    ) -> Task:
        """Run ``call`` in a task of the kernel and hand its result, or -errno, to ``answer``.

        Tasks are used again: a call costs two switches, and a kernel that serves for days does not
        collect dead ones.
        """
        if self._idle:
            task = self._idle.pop()
            self._work[task] = (carrier, answer, call)
            self.kernel.wake(task)
        else:
            task = self.kernel.kthread_run(self._worker, name="ioctl")
            self._work[task] = (carrier, answer, call)
        return task

    def _worker(self) -> None:
        kernel = self.kernel
        task = kernel.current
        while True:
            carrier, answer, call = self._work[task]
            self.carriers[task] = carrier
            try:
                result = call()
            except OSError as error:
                result = -(error.errno or EIO)
            finally:
                del self.carriers[task], self._work[task]
            answer(result)
            task.signal_pending = False
            self._idle.append(task)
            while task not in self._work:
                kernel.block("work", State.IDLE)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            taken, _ = self._door.accept()
            self._connections.add(Connection(self, taken))

    def _gone(self, pid: int) -> None:
        """A process ended: what still waits for it is interrupted.  Its files close by themselves."""
        pidfd = self._exits.pop(pid)
        self.kernel.remove_reader(pidfd)
        os.close(pidfd)
        del self.clients[pid]
        for connection in list(self._connections):
            if connection.client is not None and connection.client.pid == pid:
                connection.close()
        for supervisor in self._listeners:
            supervisor.forget(pid)


class Connection:
    """One thread of a guest with the preload library."""

    def __init__(self, gateway: Gateway, taken: socket.socket) -> None:
        self.gateway = gateway
        self.client: Client | None = None
        self._socket = taken
        self._task: Task | None = None
        self._installed: int | None = None
        self._open = True
        gateway.kernel.add_reader(taken.fileno(), self._readable)

    def install(self, fd: int, cloexec: bool) -> int:
        """Have the guest receive ``fd`` and say which number it got."""
        self._installed = None
        self._send(_INSTALL, os.O_CLOEXEC if cloexec else 0, fd)
        kernel = self.gateway.kernel
        while self._installed is None and self._open:
            kernel.block(self)
        if self._installed is None or self._installed < 0:
            raise refuse(EIO, "the client did not take the descriptor")
        return self._installed

    def close(self) -> None:
        """The guest's thread is gone, or broke the protocol."""
        if not self._open:
            return
        self._open = False
        self.gateway.kernel.remove_reader(self._socket.fileno())
        self._socket.close()
        self.gateway._connections.discard(self)
        if self._task is not None:
            self.gateway.kernel.signal(self._task)
            self.gateway.kernel.wake(self._task)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_REQUEST.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if len(data) != _REQUEST.size:
            self.close()
            return
        op, fd, a, b, _, path = _REQUEST.unpack(data)
        if op == _HELLO:
            self._hello(a)
        elif op == _INSTALLED and self._task is not None:
            self._installed = fd
            self.gateway.kernel.wake(self._task)
        elif self.client is None or self._task is not None:
            self.close()
        elif op == _OPEN:
            self._call(lambda client: self._opened(client, path, a))
        elif op == _STAT:
            self._call(lambda client: self._rdev(path))
        elif op == _IOCTL:
            self._call(lambda client: self.gateway.ioctl(client, fd, a, b))
        elif op == _MMAP:
            self._call(lambda client: self._mapped(client, fd, a, b))
        else:
            self.close()

    def _hello(self, cookie: int) -> None:
        """Learn who it is, and that its addresses are the host's: an emulator may shift them."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, _, _ = struct.unpack("=iII", credentials)
        try:
            client = self.gateway.client(pid)
            if client.memory.copy_from_user(cookie, 8) != _COOKIE:
                raise refuse(EINVAL, "the guest's addresses are not the host's")
        except OSError as error:
            self._send(_DONE, 0, None, -(error.errno or EIO))
            return
        self.client = client
        self._send(_DONE, 0, None, 0)

    def _call(self, call: Callable[[Client], int]) -> None:
        client = self.client
        assert client is not None
        self._passed: int | None = None
        self._task = self.gateway.serve(self, self._answer, lambda: call(client))

    def _answer(self, result: int) -> None:
        self._task = None
        fd, self._passed = self._passed, None
        self._send(_DONE, 0, fd, result)
        if fd is not None and self._close_passed:
            os.close(fd)

    def _opened(self, client: Client, path: bytes, flags: int) -> int:
        self._passed = self.gateway.open(
            client, path.split(b"\0")[0].decode(errors="replace"), flags
        )
        self._close_passed = True
        return 0

    def _rdev(self, path: bytes) -> int:
        device = self.gateway.devices.get(path.split(b"\0")[0].decode(errors="replace"))
        if device is None:
            raise refuse(ENOENT, "no such device")
        return device.rdev

    def _mapped(self, client: Client, fd: int, offset: int, size: int) -> int:
        self._passed = self.gateway.mapping(client, fd, offset, size)
        self._close_passed = False
        return 0

    def _send(self, kind: int, flags: int, fd: int | None, result: int = 0) -> None:
        if not self._open:
            return
        try:
            message = [_REPLY.pack(kind, flags, result)]
            if fd is None:
                self._socket.send(message[0])
            else:
                socket.send_fds(self._socket, message, [fd])
        except OSError:
            self.close()


class Supervisor:
    """All threads of native programs that one seccomp listener speaks for."""

    def __init__(self, gateway: Gateway, listener: seccomp.Listener) -> None:
        self.gateway = gateway
        self._listener = listener
        self._abi = seccomp.abi()
        self._groups: dict[int, int] = {}
        self._waiting: dict[int, Task] = {}  # by thread
        gateway.kernel.add_reader(listener.fileno(), self._readable)

    def close(self) -> None:
        """Stop listening: calls that wait return ENOSYS."""
        self.gateway.kernel.remove_reader(self._listener.fileno())
        self._listener.close()

    def forget(self, pid: int) -> None:
        """Process ``pid`` is gone: interrupt what its threads waited for."""
        for tid in [tid for tid, group in self._groups.items() if group == pid]:
            del self._groups[tid]
            task = self._waiting.pop(tid, None)
            if task is not None:
                self.gateway.kernel.signal(task)

    def _readable(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        earlier = self._waiting.pop(call.tid, None)
        if earlier is not None:
            self.gateway.kernel.signal(earlier)  # its thread was interrupted and asks anew
        numbers = self._abi
        if call.nr == numbers.ioctl:
            self._ioctl(call)
        elif call.nr in numbers.opens:
            self._open(call, numbers.opens[call.nr])
        elif call.nr == numbers.mmap:
            self._mmap(call)
        else:
            self._fstat(call)

    def _client(self, call: seccomp.Notification) -> Client:
        pid = self._groups.get(call.tid)
        if pid is None:
            pid = self._groups[call.tid] = thread_group(call.tid)
        return self.gateway.client(pid)

    def _ioctl(self, call: seccomp.Notification) -> None:
        fd, cmd, arg = call.args[0] & 0xFFFF_FFFF, call.args[1] & 0xFFFF_FFFF, call.args[2]
        try:
            client = self._client(call)
            file = self.gateway.handles.of(client.pid, fd)
        except OSError:
            file = None
        if file is None:
            self._listener.let_through(call)  # not ours: the host's own device, or no file at all
            return
        self._serve(call, lambda: file.ioctl(client, cmd, arg))

    def _open(self, call: seccomp.Notification, path_at: int) -> None:
        try:
            client = self._client(call)
        except OSError:
            self._listener.let_through(call)
            return
        assert isinstance(client.memory, RemoteMemory)
        path = client.memory.read_path(call.args[path_at])
        name = path.decode(errors="replace") if path else ""
        if name not in self.gateway.devices:
            self._listener.let_through(call)
            return
        flags = call.args[path_at + 1]

        def opened() -> int:
            fresh = self.gateway.open(client, name, flags)
            try:
                return self._listener.add_descriptor(
                    call, fresh, cloexec=bool(flags & os.O_CLOEXEC)
                )
            finally:
                os.close(fresh)

        self._serve(call, opened)

    def _mmap(self, call: seccomp.Notification) -> None:
        _, size, _, _, fd, offset = call.args
        try:
            client = self._client(call)
            if self.gateway.handles.of(client.pid, fd & 0xFFFF_FFFF) is None:
                raise refuse(EBADF, "not ours")
        except OSError:
            self._listener.let_through(call)
            return
        try:
            host = self.gateway.mapping(client, fd & 0xFFFF_FFFF, offset, size)
            number = self._listener.add_descriptor(call, host, cloexec=True)
        except OSError as error:
            self._listener.answer(call, -(error.errno or EIO))
            return
        map_in(call.tid, number)

    def _fstat(self, call: seccomp.Notification) -> None:
        """Devices look like devices; everything else is the kernel's own answer."""
        at = 1 if call.nr == self._abi.fstat else 2
        try:
            client = self._client(call)
            status = os.stat(f"/proc/{client.pid}/fd/{call.args[0] & 0xFFFF_FFFF}")  # noqa: PTH116
            if not status.st_size & DEVICE_MARK:
                raise refuse(ENODEV, "no device of ours")
            rdev = status.st_size & 0xFFFF_FFFF
            packed = self._abi.stat(status.st_dev, status.st_ino, stat.S_IFCHR | 0o666, rdev)
            client.memory.copy_to_user(call.args[at], packed)
        except OSError:
            self._listener.let_through(call)
            return
        self._listener.answer(call, 0)

    def _serve(self, call: seccomp.Notification, work: Callable[[], int]) -> None:
        def answer(result: int) -> None:
            if self._waiting.get(call.tid) is task:
                del self._waiting[call.tid]
            self._listener.answer(call, result)

        task = self.gateway.serve(_Native(self._listener, call), answer, work)
        self._waiting[call.tid] = task


@dataclass(frozen=True)
class _Native:
    """The carrier of a trapped call."""

    listener: seccomp.Listener
    call: seccomp.Notification

    def install(self, fd: int, cloexec: bool) -> int:
        return self.listener.add_descriptor(self.call, fd, cloexec=cloexec)
