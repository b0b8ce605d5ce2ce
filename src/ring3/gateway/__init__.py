"""A real process's system calls on GPU devices, brought to the simulated drivers.

A native program, a static one too, is caught by seccomp user notification; a program under qemu-user by
a preload library inside the guest.  Either way the calls reach one :class:`Gateway`::

    gateway = Gateway(kernel, {"/dev/dri/renderD128": device.open})
    status = gateway.run(["./triangle"])

Every open file of a client is a real descriptor, so that dup, fork, SCM_RIGHTS, poll and close are the
host kernel's own work and need no help; see :mod:`ring3.gateway.handles`.
"""
