"""What the tour shows of profiling: a real program recorded, its flame graph, what frame pointers lose."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ring3.report import Block, Embedded, Lines, Text
from ring3.sframe.record import Settings, record_command

#: The interpreter at work: parsing, sorting, matching, compressing.
_WORK = """
import json, re, time, zlib
text = json.dumps([{"name": "n%d" % n, "list": list(range(n % 40))} for n in range(300)])
def work(depth):
    if depth:
        return work(depth - 1)
    rows = sorted(json.loads(text), key=lambda row: -len(row["list"]))
    return len(re.findall(r"n(\\d+)", zlib.compress(text.encode()).hex())) + len(rows)
end = time.process_time() + 60
while time.process_time() < end:
    work(5)
"""


def blocks(
    say: Callable[[str], None], seconds: float = 3.0, command: Sequence[str] | None = None
) -> Iterator[Block]:
    """Record ``command`` (by default this Python at work) for ``seconds`` and show what came of it.

    Raises MissingPart where the kernel forbids perf_event_open.
    """
    from ring3.sframe import compare, flamegraph, profile, samples

    words = list(command or [sys.executable, "-c", _WORK])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tour.data"
        say(f"recording for {seconds:g} s")
        summary = record_command(words, path, Settings(seconds=seconds))
        recorded = samples.read(path)
        made, traces = profile.of_recording(recorded, say)
        say("comparing ways of unwinding")
        compared = compare.compare(recorded)
    yield Text(
        f"{summary.samples} samples of {Path(words[0]).name} ({summary.event}), {summary.lost} lost, "
        f"{len(traces.pc)} frames unwound afterwards, by tables made of each file's own .eh_frame: "
        "nothing was rebuilt."
    )
    yield compared.table()
    name = "flame-graph.html"
    yield Embedded(name, flamegraph.flame_graph(made), 640, "Flame graph: click zooms, / searches.")
    most = max(range(len(made.counts)), key=made.counts.__getitem__)
    shown = "\n".join(made.functions[index].name for index in reversed(made.stacks[most]))
    yield Lines(shown, f"The stack that was seen most often ({made.counts[most]} samples)")
