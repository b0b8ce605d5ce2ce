"""The same samples unwound in several ways: what each of them loses.

The reference is .eh_frame.  Of every sample whose reference trace is complete, the frames of each other
method are matched, in order, against the reference: frames of the reference without a match are *lost*,
frames of the method without one are *wrong*.  Lost frames are told apart by where they are: next to the
leaf (the caller of a function whose frame was not set up yet, or is taken down already), at the outer
end (the trace was cut off), in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ring3 import report
from ring3.arch import Arch
from ring3.compiled import njit
from ring3.sframe import bulk, section, sidecar
from ring3.sframe.bulk import Traces
from ring3.sframe.decode import decode
from ring3.sframe.elf_head import Image
from ring3.sframe.encode import encode
from ring3.sframe.facts import Facts
from ring3.sframe.images import Images
from ring3.sframe.samples import Samples, load
from ring3.sframe.table import FUNCTION, ROW, Table
from ring3.sframe.unwind import How, Stop

#: Markers in call chains that say whose addresses follow (PERF_CONTEXT_*, uapi linux/perf_event.h).
_CONTEXT_USER = -512
_CONTEXT_MAX = -4095


@dataclass(frozen=True)
class Method:
    """One row of the comparison, over the samples whose reference trace is complete.

    ``complete``: traces that reach the outermost frame of the reference; ``truncated``: the others;
    ``with_lost``: traces in which a frame is lost.
    """

    name: str
    traces: int
    frames: int
    complete: int
    truncated: int
    with_lost: int
    lost: int
    lost_at_leaf: int
    lost_between: int
    lost_at_end: int
    wrong: int


@dataclass(frozen=True)
class Comparison:
    """``samples`` in all, ``unwound`` of them with registers, ``compared`` with a complete reference,
    which has ``reference_frames`` frames."""

    samples: int
    unwound: int
    compared: int
    reference_frames: int
    reference: str
    methods: list[Method]

    def table(self) -> report.Table:
        """The comparison as a terminal and a page show it."""
        traces, frames = max(self.compared, 1), max(self.reference_frames, 1)
        return report.Table(
            "What each way of unwinding loses",
            (
                *("method", "#truncated", "#with a frame lost", "#frames lost"),
                *("#at the leaf", "#in between", "#at the outer end", "#wrong"),
            ),
            [
                (
                    method.name,
                    f"{method.truncated / traces:.1%}",
                    f"{method.with_lost / traces:.1%}",
                    f"{method.lost / frames:.2%}",
                    method.lost_at_leaf,
                    method.lost_between,
                    method.lost_at_end,
                    method.wrong,
                )
                for method in self.methods
            ],
            f"{self.samples} samples; {self.compared} of them complete by {self.reference}, with "
            f"{self.reference_frames} frames, which the others are matched against.",
        )

    def as_json(self) -> dict[str, object]:
        """Plain data, shares of frames and traces added."""
        out = asdict(self)
        for row in out["methods"]:
            row["lost_share"] = row["lost"] / max(self.reference_frames, 1)
            row["truncated_share"] = row["truncated"] / max(self.compared, 1)
        return out


def compare(samples: Samples, progress: Callable[[str], None] = lambda _: None) -> Comparison:
    """Unwind by frame pointers, by SFrame V2 and V3, and by .eh_frame.

    The frame-pointer chain is the kernel's where the samples hold it, else one walked over the recorded
    stack.  SFrame is a file's own section or sidecar, and else its .eh_frame after a way through the
    bytes of that version: what the format cannot say is lost as it would be on disk.
    """
    images = Images(samples.images, samples.extras)
    found: dict[int, tuple[Image | None, Facts]] = {}

    def find(number: int) -> tuple[Image | None, Facts]:
        if number not in found:
            found[number] = images.find(number)
        return found[number]

    def through(version: int) -> Callable[[int], tuple[Image | None, Facts]]:
        def find_encoded(number: int) -> tuple[Image | None, Facts]:
            head, facts = find(number)
            return head, _encoded(samples.arch, facts, version)

        return find_encoded

    progress(".eh_frame")
    reference = bulk.unwind(samples, bulk.world(samples, find, [How.CONVERTED]))
    progress("frame pointer")
    methods = {"frame pointer": chains(samples)}
    if not len(methods["frame pointer"].pc):
        methods["frame pointer"] = bulk.unwind(samples, bulk.world(samples, find, []))
    for version in (2, 3):
        progress(f"SFrame V{version}")
        methods[f"SFrame V{version}"] = bulk.unwind(samples, bulk.world(samples, through(version)))
    methods[".eh_frame"] = reference
    return judge(samples, reference, methods)


def _encoded(machine: Arch, facts: Facts, version: int) -> Facts:
    """The same facts with the converted table as SFrame of ``version`` says it."""
    tables = []
    for how, functions, rows in facts.tables:
        if how == How.CONVERTED:
            table = Table(machine, np.frombuffer(functions, FUNCTION), np.frombuffer(rows, ROW))
            vaddr = sidecar.address(table)
            data = encode(table, vaddr, version=version).data
            said = decode(section.parse(data, vaddr, f"V{version}"))
            functions = memoryview(said.functions.tobytes())
            rows = memoryview(said.rows.tobytes())
        tables.append((how, functions, rows))
    return Facts(tables, facts.symbols, facts.problem)


def chains(samples: Samples) -> Traces:
    """The user part of the call chains that the kernel walked by frame pointers."""
    recorded = samples.samples
    first = np.zeros(len(recorded) + 1, np.int64)
    room = int(recorded["chain_length"].sum())
    pc = np.zeros(room, np.int64)
    _chains(samples.data, samples.order != "<", recorded, first, pc)
    end = int(first[-1])
    nothing = np.zeros(end, np.uint8)
    stop = np.full(len(recorded), Stop.CHAIN_END, np.uint8)
    return Traces(first, pc[:end], np.full(end, -1, np.int32), nothing, stop)


def judge(samples: Samples, reference: Traces, methods: dict[str, Traces]) -> Comparison:
    """Match the traces of every method against the reference."""
    whole = reference.stop <= Stop.CHAIN_END
    compared = np.flatnonzero(whole)
    lengths = np.diff(reference.first)
    rows = []
    for name, traces in methods.items():
        out = np.zeros((len(compared), 6), np.int64)
        _match(reference.first, reference.pc, traces.first, traces.pc, compared, out)
        ends, leaf, between, end, wrong, frames = out.T
        lost = leaf + between + end
        rows.append(
            Method(
                name,
                len(compared),
                int(frames.sum()),
                int(ends.sum()),
                int((ends == 0).sum()),
                int((lost > 0).sum()),
                *(int(part.sum()) for part in (lost, leaf, between, end, wrong)),
            )
        )
    unwound = int((samples.samples["has_registers"] != 0).sum())
    total = int(lengths[compared].sum())
    return Comparison(len(samples), unwound, len(compared), total, ".eh_frame", rows)


@njit
def _chains(
    data: np.ndarray, big: bool, samples: np.ndarray, first: np.ndarray, pcs: np.ndarray
) -> None:
    out = 0
    for at in range(len(samples)):
        user = False
        for index in range(samples[at].chain_length):
            word = load(data, samples[at].chain + 8 * index, 8, big)
            if _CONTEXT_MAX <= word < 0:
                user = word == _CONTEXT_USER
            elif user:
                pcs[out] = word
                out += 1
        first[at + 1] = out


@njit
def _match(
    first: np.ndarray,
    reference: np.ndarray,
    other_first: np.ndarray,
    other: np.ndarray,
    compared: np.ndarray,
    out: np.ndarray,
) -> None:
    """Match in order, each frame with the nearest equal one further out; see :func:`judge` for columns."""
    for number in range(len(compared)):
        sample = compared[number]
        begin, end = first[sample], first[sample + 1]
        at = begin
        last = begin - 1  # the last frame of the reference that was matched
        wrong = 0
        for index in range(other_first[sample], other_first[sample + 1]):
            place = at
            while place < end and reference[place] != other[index]:
                place += 1
            if place == end:
                wrong += 1
                continue
            gap = place - at
            if last <= begin:
                out[number, 1] += gap
            else:
                out[number, 2] += gap
            last = place
            at = place + 1
        out[number, 3] = end - at
        out[number, 0] = last == end - 1
        out[number, 4] = wrong
        out[number, 5] = other_first[sample + 1] - other_first[sample]
