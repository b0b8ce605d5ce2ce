"""A profile: which functions were on the stack, how often.  What all outputs are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ring3.sframe import bulk
from ring3.sframe.bulk import Traces, World
from ring3.sframe.demangle import demangle
from ring3.sframe.images import Images
from ring3.sframe.samples import Samples
from ring3.sframe.symbols import Symbols, read_perf_map
from ring3.sframe.unwind import How, Stop

KERNEL = "[kernel]"
INCOMPLETE = "[incomplete]"


@dataclass(frozen=True)
class Function:
    """A name and the file it is from: "" for what is no file."""

    name: str
    file: str


@dataclass(frozen=True)
class Profile:
    """``stacks[n]`` are indices into ``functions`` from the outermost to the innermost frame.

    The first is the thread's command, the last may be :data:`KERNEL`; a trace that did not reach an
    outermost frame has :data:`INCOMPLETE` behind its command.  ``counts[n]`` samples had that stack.
    ``period`` is the mean distance of samples in ``unit``.
    """

    title: str
    functions: list[Function]
    stacks: list[tuple[int, ...]]
    counts: list[int]
    period: float
    unit: str

    @cached_property
    def total(self) -> int:
        """Samples in all."""
        return sum(self.counts)


def of_recording(
    samples: Samples, progress: Callable[[str], None] = lambda _: None
) -> tuple[Profile, Traces]:
    """Unwind and name everything in a recording."""
    progress("reading unwind tables")
    known = bulk.world(samples, Images(samples.images, samples.extras).find)
    progress("unwinding")
    traces = bulk.unwind(samples, known)
    progress("naming functions")
    return make(samples, known, traces), traces


def make(samples: Samples, known: World, traces: Traces) -> Profile:
    """Name the frames of unwound samples and count equal stacks."""
    functions: dict[Function, int] = {}

    def number(name: str, file: str) -> int:
        return functions.setdefault(Function(_text(name), _text(file)), len(functions))

    of_frame = _functions_of_frames(samples, known, traces, number)
    kernel, incomplete = number(KERNEL, ""), number(INCOMPLETE, "")
    counted: dict[tuple[int, bool, bool, bytes], int] = {}
    first = traces.first.tolist()
    complete = (traces.stop <= Stop.CHAIN_END).tolist()
    in_kernel = samples.samples["in_kernel"].tolist()
    for sample, (tid, time) in enumerate(
        zip(samples.samples["tid"].tolist(), samples.samples["time"].tolist(), strict=True)
    ):
        command = number(samples.command(tid, time), "")
        key = (
            command,
            complete[sample],
            bool(in_kernel[sample]),
            of_frame[first[sample] : first[sample + 1]].tobytes(),
        )
        counted[key] = counted.get(key, 0) + 1
    stacks, counts = [], []
    for (command, whole, leaf, frames), count in counted.items():
        middle = np.frombuffer(frames, np.int32)[::-1].tolist()
        stacks.append(
            (command, *(() if whole else (incomplete,)), *middle, *((kernel,) if leaf else ()))
        )
        counts.append(count)
    unit = "nanoseconds" if samples.event == "cpu-clock" else "count"
    period = float(samples.samples["period"].mean()) if len(samples) else 0.0
    title = " ".join(samples.extras.command) or samples.path.name
    return Profile(_text(title), list(functions), stacks, counts, period, unit)


def _text(name: str) -> str:
    """``name`` in UTF-8: names of files are bytes, and the formats are not."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _functions_of_frames(
    samples: Samples, known: World, traces: Traces, number: Callable[[str, str], int]
) -> np.ndarray:
    """The function number of each frame: one look-up for each different place in a file."""
    exact = (traces.how == How.REGISTERS) | (traces.how == How.SIGNAL)
    exact[:-1] |= traces.how[1:] == How.SIGNAL  # a trampoline
    lookup = traces.pc - ~exact
    mapped = traces.mapping >= 0
    mapping = np.where(mapped, traces.mapping, 0)
    pid = np.repeat(samples.samples["pid"], np.diff(traces.first))
    image = np.full(len(lookup), -1, np.int64)
    address = lookup.copy()
    if len(samples.mappings):
        image = np.where(mapped, samples.mappings["image"][mapping], -1).astype(np.int64)
        address = np.where(mapped, lookup - known.bias[mapping], lookup)
    named = np.array(
        [bool(facts.tables or len(facts.symbols.addr)) for facts in known.facts] + [False]
    )
    # Memory without a file is the process's own: there the pid tells places apart.
    place = np.where(named[image], image, -1 - pid.astype(np.int64))
    keys = np.zeros(len(lookup), [("place", "i8"), ("address", "i8"), ("image", "i8")])
    keys["place"], keys["address"], keys["image"] = place, address, image
    unique, inverse = np.unique(keys, return_inverse=True)
    jitted: dict[int, Symbols] = {}
    numbers = np.zeros(len(unique), np.int32)
    for index, (at, address_, image_) in enumerate(unique.tolist()):
        file = samples.images[image_].path if image_ >= 0 else ""
        if at >= 0:
            symbols = known.facts[at].symbols
        else:
            pid_ = -1 - at
            if pid_ not in jitted:
                jitted[pid_] = read_perf_map(samples.extras.perf_maps.get(pid_, b""))
            symbols = jitted[pid_]
        found = symbols.find(address_ & (1 << 64) - 1)
        short = Path(file).name or "?"
        name = demangle(symbols.text(found)) if found >= 0 else f"[{short.strip('[]')}]"
        numbers[index] = number(name, file)
    return numbers[inverse]
