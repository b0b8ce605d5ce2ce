"""The OOM killer: who dies, and how its memory comes back.

Source: mm/oom_kill.c, Linux 7.2.  A victim's anonymous memory is taken by the reaper at once, which is what
the kernel's oom_reaper does a moment later; what the victim holds in the kernel it must free itself.
"""

from __future__ import annotations

from ring3.kernel.report import KernelBug
from ring3.kernel.task import DEAD, PF_KTHREAD, Task
from ring3.mm import gfp as G
from ring3.mm.zone import Memory, free_pages


class OutOfMemory(KernelBug):
    """The kernel's panic: out of memory, and nobody left to kill."""


def out_of_memory(mm: Memory, gfp: int) -> bool:
    """Make room by killing the largest task; whether to try again.

    Without __GFP_FS nobody is killed and the answer is still yes: the caller loops.  Raises
    :class:`OutOfMemory` when there is nobody to kill.
    """
    kernel = mm.kernel
    current = kernel.current
    if current.signal_pending and not current.flags & PF_KTHREAD:
        # It is about to die and give its memory back: let it use the reserves for that.
        if current not in mm.oom_victims:
            mm.oom_victims.append(current)
            reap(mm, current)
        return True
    if not gfp & G.FS:
        return True
    if any(victim.state is not DEAD and mm.anonymous.get(victim) for victim in mm.oom_victims):
        return True
    sizes = {
        task: len(folios)
        for task, folios in mm.anonymous.items()
        if folios and task.state is not DEAD and not task.flags & PF_KTHREAD
    }
    if not sizes:
        kernel.printk("Out of memory and no killable processes...")
        raise OutOfMemory("System is deadlocked on memory", where=str(current))
    victim = max(sizes, key=lambda task: (sizes[task], -task.tid))
    kernel.printk(f"Out of memory: Killed process {victim.tid} ({victim.name})")
    mm.stats.oom_kills += 1
    mm.oom_victims.append(victim)
    reap(mm, victim)
    kernel.signal(victim)
    return True


def reap(mm: Memory, victim: Task) -> None:
    """Free the anonymous memory of ``victim``."""
    for folio in mm.anonymous.pop(victim, []):
        free_pages(mm, folio)
