"""What lockdep says of each kind of finding: from the locks and steps that prove it to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ring3.kernel.lockdep import text, usage
from ring3.kernel.report import stack

if TYPE_CHECKING:
    from ring3.kernel.lockdep.graph import Step
    from ring3.kernel.lockdep.validator import HeldLock
    from ring3.kernel.task import Task


def recursive(task: Task, before: HeldLock, held: HeldLock) -> text.Report:
    """A class is taken that the task holds."""
    body = [f"{task} is trying to acquire lock:", text.describe(held), ""]
    body += ["but task is already holding lock:", text.describe(before), ""]
    body += text.one_cpu([f"lock({before.lock_class});", f"lock({held.lock_class});"])
    body.append(" May be due to missing lock nesting notation")
    return text.compose("recursive", task, body, [before.lock_class, held.lock_class])


def circular(task: Task, before: HeldLock, held: HeldLock, found: Step) -> text.Report:
    """The new dependency closes a circle: ``found`` leads from ``held`` back to ``before``."""
    path = found.path()
    path[0].trace = stack()
    body = [f"{task} is trying to acquire lock:", text.describe(held), ""]
    body += ["but task is already holding lock:", text.describe(before), ""]
    body += ["which lock already depends on the new lock.", ""]
    body += ["the existing dependency chain (in reverse order) is:", *text.chain(path), ""]
    source, target = held.lock_class, before.lock_class
    middle = path[-2].lock_class if len(path) > 2 else source
    classes = [source, *([middle] if middle is not source else []), target]
    body += ["Chain exists of:", "  " + " --> ".join(map(str, classes)), ""]
    body += text.two_cpus(
        [f"lock({target});", f"lock({source});"], [f"lock({middle});", f"lock({target});"]
    )
    return text.compose("circular", task, body, [step.lock_class for step in path])


def inconsistent(task: Task, held: HeldLock, old: int, new: int) -> text.Report:
    """One class is taken in interrupts and with them enabled."""
    lock_class = held.lock_class
    body = [f"inconsistent {{{usage.NAMES[old]}}} -> {{{usage.NAMES[new]}}} usage."]
    body += [f"{task} {text.contexts(task)} takes:", text.describe(held)]
    body += [f"{{{usage.NAMES[old]}}} state was registered at:"]
    body += [f"  {frame}" for frame in lock_class.traces[old]]
    body.append("")
    lock = f"lock({lock_class});"
    body += text.one_cpu([lock, "<Interrupt>", f"  {lock}"])
    return text.compose("inconsistent", task, body, [lock_class])


def irq_dependency(
    task: Task, before: HeldLock, held: HeldLock, backward: Step, forward: Step
) -> text.Report:
    """The new dependency leads from a class used in interrupts to one taken with them enabled."""
    safe, unsafe = backward.lock_class, forward.lock_class
    bit, opposite = usage.first_conflict(safe.usage, unsafe.usage)
    irq = "SOFTIRQ" if bit & usage.SOFTIRQ else "HARDIRQ"
    body = [f"{task} {text.contexts(task)} is trying to acquire:", text.describe(held)]
    body += ["", "and this task is already holding:", text.describe(before)]
    body += ["which would create a new lock dependency:"]
    body += [f" ({before.lock_class}) -> ({held.lock_class})"]
    body += ["", f"but this new dependency connects a {irq}-irq-safe lock:", f" ({safe})"]
    body += [f"... which became {irq}-irq-safe at:"]
    body += [f"  {frame}" for frame in safe.traces.get(bit, ())]
    body += ["", f"to a {irq}-irq-unsafe lock:", f" ({unsafe})"]
    body += [f"... which became {irq}-irq-unsafe at:"]
    body += [f"  {frame}" for frame in unsafe.traces.get(opposite, ())]
    body += [""]
    body += text.two_cpus(
        [f"lock({unsafe});", "<Interrupt>", f"  lock({safe});"],
        ["local_irq_disable();", f"lock({safe});", f"lock({unsafe});"],
    )
    classes = [step.lock_class for step in reversed(backward.path())]
    classes += [step.lock_class for step in forward.path()]
    return text.compose("irq-dependency", task, body, classes, irq=irq)


def irq_inversion(task: Task, held: HeldLock, bit: int, found: Step) -> text.Report:
    """A class changes its usage and there is a dependency already that this makes wrong."""
    back = bool(bit & usage.ENABLED)
    other = found.lock_class
    irq = "softirq" if bit & usage.SOFTIRQ else "hardirq"
    direction = "unsafe" if back else "safe"
    body = [
        f"{task} just changed the state of lock:",
        text.describe(held),
        f"but this lock {'was taken by another' if back else 'took another'}, "
        f"{irq.upper()}-{'safe' if back else 'unsafe'} lock in the past:",
        f" ({other}){{{usage.letters(other.usage)}}}",
        f"(the first is {irq}-{direction} now)",
        "",
        "the dependencies between the locks:",
        *text.chain(found.path(), reverse=False),
    ]
    classes = [step.lock_class for step in found.path()]
    safe, unsafe = (classes[-1], classes[0]) if back else (classes[0], classes[-1])
    body += text.two_cpus(
        [f"lock({unsafe});", "<Interrupt>", f"  lock({safe});"],
        ["local_irq_disable();", f"lock({safe});", f"lock({unsafe});"],
    )
    return text.compose("irq-inversion", task, body, classes)
