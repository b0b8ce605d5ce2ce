"""The ten usage bits of a lock class, and which of them exclude each other.

Numbering as in kernel/locking/lockdep_internals.h (7.2): bit 0 read, bit 1 direction (used in, or
enabled), bit 2 hardirq or softirq; then USED and USED_READ.
"""

from __future__ import annotations

READ = 1
ENABLED = 2
HARDIRQ = 0
SOFTIRQ = 4
USED = 8
USED_READ = 9

NAMES = (
    "IN-HARDIRQ-W",
    "IN-HARDIRQ-R",
    "HARDIRQ-ON-W",
    "HARDIRQ-ON-R",
    "IN-SOFTIRQ-W",
    "IN-SOFTIRQ-R",
    "SOFTIRQ-ON-W",
    "SOFTIRQ-ON-R",
    "INITIAL USE",
    "INITIAL READ USE",
)

_IRQ_BITS = range(USED)
IRQ_MASK = sum(1 << bit for bit in _IRQ_BITS)
WRITE_MASK = sum(1 << bit for bit in _IRQ_BITS if not bit & READ)
READ_MASK = IRQ_MASK & ~WRITE_MASK
ENABLED_MASK = sum(1 << bit for bit in _IRQ_BITS if bit & ENABLED)
USED_IN_MASK = IRQ_MASK & ~ENABLED_MASK


def exclusive_bit(bit: int) -> int:
    """The write usage of the other direction that ``bit`` cannot live with."""
    return (bit ^ ENABLED) & ~READ


def exclusive_mask(mask: int) -> int:
    """All usages, of readers and writers, that some usage in ``mask`` cannot live with."""
    inverted = (mask & ENABLED_MASK) >> ENABLED | (mask & USED_IN_MASK) << ENABLED
    return inverted | (inverted & READ_MASK) >> READ | (inverted & WRITE_MASK) << READ


def first_conflict(mask: int, other: int) -> tuple[int, int]:
    """The first pair of usages, one from each mask, that exclude each other."""
    for bit in _IRQ_BITS:
        if mask & 1 << bit:
            for opposite in (exclusive_bit(bit), exclusive_bit(bit) | READ):
                if other & 1 << opposite:
                    return bit, opposite
    raise ValueError("no two usages exclude each other")


def letters(mask: int) -> str:
    """The four characters of a kernel report: hardirq, hardirq-read, softirq, softirq-read.

    ``.`` neither, ``+`` taken with interrupts on, ``-`` taken inside of them, ``?`` both.
    """
    out = ""
    for state in (HARDIRQ, HARDIRQ | READ, SOFTIRQ, SOFTIRQ | READ):
        used_in, enabled = mask >> state & 1, mask >> (state | ENABLED) & 1
        out += ".-+?"[used_in + 2 * enabled]
    return out
