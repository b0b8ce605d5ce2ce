"""The gateway: clients' calls in, the simulated kernel's answers out.

Everything runs on one thread, inside the simulated kernel's loop: its real clock waits for the listeners
and the descriptors of :mod:`ring3.gateway.handles` together.  Each call is done by a task, so a call that
waits blocks its caller and nobody else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import EACCES, ENODEV, ESRCH
from mmap import PROT_WRITE

from ring3.dma_buf.file import File, Process, refuse
from ring3.gateway import seccomp
from ring3.gateway.client import Client
from ring3.gateway.handles import Handles
from ring3.gateway.memory import memfd_of
from ring3.gateway.seccomp import Call
from ring3.gateway.supervisor import Supervisor
from ring3.kernel import Kernel, State, Task


@dataclass(frozen=True)
class Device:
    """A device node: how it is opened, and its number."""

    open: Callable[[Process], File]
    rdev: int


class Gateway:
    """All clients of one simulated kernel.  ``devices`` maps paths to device nodes.

    ``calls`` is what each task is doing for a client at this moment.
    """

    def __init__(self, kernel: Kernel, devices: Mapping[str, Device]) -> None:
        self.kernel = kernel
        self.devices = dict(devices)
        self.handles = Handles(kernel)
        self.calls: dict[Task, Call] = {}
        self.clients: dict[int, Client] = {}
        self._exits: dict[int, int] = {}  # pid -> pidfd
        self._supervisors: list[Supervisor] = []
        self._inbox: deque[tuple[Supervisor, Call]] = deque()
        self._idle: list[Task] = []
        self._resting = False

    def client(self, pid: int) -> Client:
        """The client that process ``pid`` is; ESRCH when it is gone."""
        found = self.clients.get(pid)
        if found is None:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                raise refuse(ESRCH, f"process {pid} is gone") from None
            try:
                found = Client(self, pid)
            except OSError:
                os.close(pidfd)
                raise
            self.clients[pid] = found
            self._exits[pid] = pidfd
            self.kernel.add_reader(pidfd, lambda: self._gone(pid))
        return found

    def spawn(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Start a program of this machine (an emulator, too) under the seccomp filter; its pid."""
        pid, listener = seccomp.start(
            command, dict(os.environ if environment is None else environment)
        )
        self._supervisors.append(Supervisor(self, listener))
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

    def dismiss(self, supervisor: Supervisor) -> None:
        """All programs of one listener have ended."""
        self._supervisors.remove(supervisor)
        supervisor.close()

    def close(self) -> None:
        """Stop serving; forget every client."""
        for supervisor in list(self._supervisors):
            self.dismiss(supervisor)
        for pid in list(self._exits):
            self._gone(pid)
        self.handles.close()

    def open(self, client: Client, path: str, flags: int) -> int:
        """Open the device node ``path`` for ``client``; a descriptor to hand over and close."""
        device = self.devices[path]
        file = device.open(client)
        file.rdev = device.rdev
        file.writable = flags & os.O_ACCMODE != os.O_RDONLY
        return self.handles.descriptor(file)

    def mapping(self, file: File, offset: int, size: int, prot: int, *, private: bool) -> int:
        """The host file that a mapping of ``file`` shows, from its start; it stays ours."""
        if prot & PROT_WRITE and not private and not file.writable:
            raise refuse(EACCES, f"the {file.kind} is open for reading only")
        memfd = memfd_of(file.mmap(offset, size, private=private, prot=prot))
        if memfd is None:
            raise refuse(ENODEV, "this memory lies in no host file")
        return memfd

    # -- who does the calls -----------------------------------------------------------------------

    def take(self, supervisor: Supervisor, call: Call) -> None:
        """A call has come: have a task do it.  Called outside of any task."""
        self._inbox.append((supervisor, call))
        if not self._resting:
            self._summon()

    def _summon(self) -> None:
        if self._idle:
            self.kernel.wake(self._idle.pop())
        else:
            self.kernel.kthread_run(self._worker, name="ioctl")

    def _worker(self) -> None:
        """Do calls as they come.

        While nothing else runs, the task that did the last call waits for the next itself, so a call that
        does not sleep needs no switch of tasks.  If it sleeps, another task takes over.
        """
        kernel, inbox = self.kernel, self._inbox
        task = kernel.current
        while True:
            while inbox:
                supervisor, call = inbox.popleft()
                if inbox:
                    self._summon()
                self.calls[task] = call
                try:
                    supervisor.serve(task, call)
                finally:
                    del self.calls[task]
                task.signal_pending = False
            self._resting = True
            try:
                kernel.rest()
            finally:
                self._resting = False
            if not inbox:
                self._idle.append(task)
                kernel.block("work", State.IDLE)

    def _gone(self, pid: int) -> None:
        """A process ended: what still waits for it is interrupted.  Its files close by themselves."""
        pidfd = self._exits.pop(pid)
        self.kernel.remove_reader(pidfd)
        os.close(pidfd)
        client = self.clients.pop(pid)
        client.forget()
        for supervisor in self._supervisors:
            supervisor.forget(client)
