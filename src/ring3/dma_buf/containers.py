"""Fences made of fences: arrays, chains (timelines), and taking both apart and together again.

Semantics of dma-fence-array.c, dma-fence-chain.c and dma-fence-unwrap.c (7.2).  A container is signalled
from its own irq work, never inside the callback of a contained fence, so that locks never nest and the
stack stays short however long a chain is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from errno import EINVAL
from functools import cmp_to_key

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.dma_buf.file import refuse


class DmaFenceArray(DmaFence):
    """Signalled when all of ``members`` are.  Its error is the first member's that has one."""

    driver = "dma_fence_array"
    timeline = "unbound"

    def __init__(
        self,
        fences: Fences,
        members: Sequence[DmaFence],
        context: int | None = None,
        seqno: int = 1,
    ) -> None:
        assert members, "an array has members"
        if any(map(is_container, members)):
            fences.kernel.warn("dma_fence_array_init: an array holds no containers")
        super().__init__(fences, context if context is not None else fences.context_alloc(), seqno)
        self.members = list(members)
        self.pending = len(self.members)
        self._pending_error = 0

    def _note_error(self, error: int) -> None:
        self._pending_error = self._pending_error or error

    def _member_done(self, member: DmaFence) -> None:
        self._note_error(member.error)
        self.pending -= 1
        if self.pending == 0:
            self.fences.irq_work(self._finish)

    def _finish(self) -> None:
        self.error = self._pending_error
        self.signal()

    def enable_signaling(self) -> bool:
        for member in self.members:
            if not member.add_callback(self._member_done):
                self._note_error(member.error)
                self.pending -= 1
                if self.pending == 0:
                    self.error = self._pending_error
                    return False
        return True

    def poll_signaled(self) -> bool:
        if self.signaling_enabled:
            done = self.pending <= 0
        else:
            done = all(member.is_signaled() for member in self.members)
        if done:
            self.error = self._pending_error
        return done

    def deadline_hint(self, deadline: int) -> None:
        for member in self.members:
            member.set_deadline(deadline)


class DmaFenceChain(DmaFence):
    """A point on a timeline: signalled when ``fence`` and everything before it are.

    ``prev`` is the link before; links whose fence is signalled are cut out as the chain is walked.  A
    sequence number that goes backwards starts a new context at the greater of both numbers.
    """

    driver = "dma_fence_chain"
    timeline = "unbound"
    seqno64 = True

    def __init__(self, fences: Fences, prev: DmaFence | None, fence: DmaFence, seqno: int) -> None:
        if isinstance(fence, DmaFenceChain):
            # (User space gets there: a timeline's point as sync_file, imported as a point.)
            fences.kernel.warn("dma_fence_chain_init: a chain holds no chains")
        self.prev_seqno = 0
        if isinstance(prev, DmaFenceChain) and seqno > prev.seqno:
            context = prev.context
            self.prev_seqno = prev.seqno
        else:
            context = fences.context_alloc()
            if isinstance(prev, DmaFenceChain):
                seqno = max(prev.seqno, seqno)
        self.prev = prev
        self.fence = fence
        super().__init__(fences, context, seqno)

    def _contained_done(self, _: DmaFence) -> None:
        self.fences.irq_work(self._look_further)

    def _look_further(self) -> None:
        if not self.enable_signaling():
            self.signal()

    def enable_signaling(self) -> bool:
        return any(contained(link).add_callback(self._contained_done) for link in walk(self))

    def poll_signaled(self) -> bool:
        return all(contained(link).is_signaled() for link in walk(self))

    def deadline_hint(self, deadline: int) -> None:
        for link in walk(self):
            contained(link).set_deadline(deadline)

    def __del__(self) -> None:
        # A long chain would otherwise be freed by recursion, one stack frame a link.
        link, self.prev = self.prev, None
        while isinstance(link, DmaFenceChain) and link.prev is not None:
            if _refs(link) > 3:  # somebody else holds it (and getrefcount, its argument, `link`)
                break
            link.prev, link = None, link.prev


def _refs(fence: DmaFence) -> int:
    import sys

    return sys.getrefcount(fence)


def contained(fence: DmaFence) -> DmaFence:
    """The fence inside a chain link; of anything else, itself."""
    return fence.fence if isinstance(fence, DmaFenceChain) else fence


def is_container(fence: DmaFence) -> bool:
    """An array or a chain."""
    return isinstance(fence, DmaFenceArray | DmaFenceChain)


def previous(link: DmaFence) -> DmaFence | None:
    """The link before ``link`` that is not signalled; those that are leave the chain."""
    if not isinstance(link, DmaFenceChain):
        return None
    while (prev := link.prev) is not None and contained(prev).is_signaled():
        link.prev = prev.prev if isinstance(prev, DmaFenceChain) else None
    return prev


def walk(head: DmaFence | None) -> Iterator[DmaFence]:
    """``head`` and the links before it, newest first, cutting out what is signalled."""
    link = head
    while link is not None:
        yield link
        link = previous(link)


def find_seqno(head: DmaFence | None, seqno: int) -> DmaFence | None:
    """The link that is signalled no earlier than timeline point ``seqno``, None if that is past.

    ``seqno`` 0 means ``head`` itself.  EINVAL if the timeline has not got that far.
    """
    if seqno == 0:
        return head
    if not isinstance(head, DmaFenceChain) or head.seqno < seqno:
        raise refuse(EINVAL, f"no point {seqno} has been submitted")
    for link in walk(head):
        if (
            not isinstance(link, DmaFenceChain)
            or link.context != head.context
            or link.prev_seqno < seqno
        ):
            return link
    return None


def unwrap(fence: DmaFence | None) -> Iterator[DmaFence]:
    """The simple fences inside: of a chain its links', of an array its members."""
    for link in walk(fence):
        inside = contained(link)
        if isinstance(inside, DmaFenceArray):
            yield from inside.members
        else:
            yield inside


def dedup(fences: Iterable[DmaFence]) -> list[DmaFence]:
    """Of each context the latest fence, in order of contexts."""

    def compare(a: DmaFence, b: DmaFence) -> int:
        if a.context != b.context:
            return -1 if a.context < b.context else 1
        return -1 if a.is_later(b) else int(b.is_later(a))

    kept: list[DmaFence] = []
    for fence in sorted(fences, key=cmp_to_key(compare)):
        if not kept or kept[-1].context != fence.context:
            kept.append(fence)
    return kept


def merge(core: Fences, fences: Sequence[DmaFence]) -> DmaFence:
    """One fence that stands for all: their simple, unsignalled fences, one a context.

    Signalled at the latest timestamp if none is left.
    """
    pending: list[DmaFence] = []
    latest = 0
    for fence in fences:
        for simple in unwrap(fence):
            if simple.is_signaled():
                latest = max(latest, simple.timestamp)
            else:
                pending.append(simple)
    if not pending:
        return core.signaled_stub(latest)
    if len(pending) > 1:
        pending = dedup(pending)
    return pending[0] if len(pending) == 1 else DmaFenceArray(core, pending)
