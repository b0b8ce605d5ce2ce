"""The comparison: its counting by hand, and a program whose lost frames are known."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sframe_programs import SPIN, build

from ring3.errors import MissingPart
from ring3.sframe import compare, record, samples
from ring3.sframe.bulk import Traces
from ring3.sframe.compare import Method
from ring3.sframe.unwind import How, Stop


def traces(*pcs: list[int], stop: Stop = Stop.OUTERMOST) -> Traces:
    first = np.cumsum([0, *(len(one) for one in pcs)])
    flat = np.array([pc for one in pcs for pc in one], np.int64)
    count = len(flat)
    stops = np.full(len(pcs), stop, np.uint8)
    return Traces(first, flat, np.zeros(count, np.int32), np.zeros(count, np.uint8), stops)


@pytest.mark.parametrize(
    ("frames", "lost"),
    [
        ([1, 2, 3, 4, 5], (1, 0, 0, 0, 0)),  # ends, leaf, between, outer end, wrong
        ([1, 3, 4, 5], (1, 1, 0, 0, 0)),
        ([1, 2, 3], (0, 0, 0, 2, 0)),
        ([1, 2, 5], (1, 0, 2, 0, 0)),
        ([1, 9, 4], (0, 2, 0, 1, 1)),
        ([], (0, 0, 0, 5, 0)),
        ([7, 8], (0, 0, 0, 5, 2)),
        ([2, 3, 4, 5], (1, 1, 0, 0, 0)),
    ],
)
def test_counting(frames, lost):
    out = np.zeros((1, 6), np.int64)
    reference, other = traces([1, 2, 3, 4, 5]), traces(frames)
    compare._match(reference.first, reference.pc, other.first, other.pc, np.array([0]), out)
    assert tuple(out[0]) == (*lost, len(frames))


def recorded(tmp_path, needs, *flags: str) -> dict[str, Method]:
    program = build(
        tmp_path, needs, "spin", SPIN + "int main(void) { middle(0.4); return 0; }", *flags
    )
    path = tmp_path / "x.data"
    try:
        record.record_command([str(program)], path, record.Settings())
    except MissingPart as error:
        pytest.skip(str(error))
    found = compare.compare(samples.read(path))
    assert found.compared > 100
    return {method.name: method for method in found.methods}


def test_without_frame_pointers_they_lose_and_tables_do_not(tmp_path, needs):
    methods = recorded(tmp_path, needs)
    chain = methods["frame pointer"]
    # innermost, middle and main keep none: of the six frames all but the innermost are at risk.
    assert chain.lost > chain.traces
    for name in ("SFrame V3", ".eh_frame"):
        assert (methods[name].lost, methods[name].wrong, methods[name].truncated) == (0, 0, 0)


def test_with_frame_pointers_only_libc_is_lost(tmp_path, needs):
    chain = recorded(tmp_path, needs, "-fno-omit-frame-pointer")["frame pointer"]
    # main, middle, innermost are found; of libc's and _start's frames at most three are lost.
    assert chain.lost_at_end <= 3 * chain.traces
    assert chain.lost_at_leaf + chain.lost_between < 0.1 * chain.traces


def test_the_command(tmp_path, needs):
    path = tmp_path / "x.data"
    ring3 = [sys.executable, "-m", "ring3"]
    busy = [
        sys.executable,
        "-c",
        "import time\nwhile time.process_time() < 0.3: sorted(range(999))",
    ]
    made = subprocess.run(
        [*ring3, "record", "-o", path, "--", *busy], capture_output=True, text=True, check=False
    )
    if made.returncode == 2 and "forbids" in made.stderr:
        pytest.skip(made.stderr)
    assert made.returncode == 0, made.stderr
    assert "samples (cpu-" in made.stderr
    shown = subprocess.run(
        [*ring3, "compare", "--json", path], capture_output=True, text=True, check=True
    )
    answer = json.loads(shown.stdout)
    names = [method["name"] for method in answer["methods"]]
    assert names == ["frame pointer", "SFrame V2", "SFrame V3", ".eh_frame"]
    table = subprocess.run([*ring3, "compare", path], capture_output=True, text=True, check=True)
    assert all(name in table.stdout for name in names)
    out = tmp_path / "x.html"
    subprocess.run([*ring3, "export", path, "-o", out], check=True, capture_output=True)
    assert out.read_text().startswith("<!doctype html>")
    wrong = subprocess.run(
        [*ring3, "export", path, "-o", "x.odd"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "in which format" in wrong.stderr


@pytest.mark.parametrize("how", [How.SFRAME, How.SIDECAR])
def test_sections_and_sidecars_come_first(tmp_path, needs, monkeypatch, how):
    """The stated order of sources, on a program that ring3 itself gave a section or a sidecar."""
    from ring3.sframe import convert, facts, sidecar, stack

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = build(tmp_path, needs, "spin", SPIN + "int main(void) { middle(60); return 0; }")
    if how is How.SIDECAR:
        convert.write_sidecar(convert.convert(program))
    else:
        added = subprocess.run(
            [sys.executable, "-m", "ring3", "sframe", "add", program, "-o", tmp_path / "added"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert added.returncode == 0, added.stderr
        program = tmp_path / "added"
    with subprocess.Popen([program]) as child:
        try:
            while True:
                (thread,) = stack.of_process(child.pid)
                names = [f.module.function(f.lookup)[0] for f in thread.trace.frames if f.module]
                if "innermost" in names:
                    break
        finally:
            child.kill()
    caller = names.index("innermost") + 1  # given by innermost's own rule
    assert thread.trace.frames[caller].how is how
    assert thread.trace.frames[caller + 1].how is how
    assert thread.trace.complete
    if how is How.SIDECAR:
        build_id = next(iter((tmp_path / "cache" / "ring3" / "sframe").glob("*/*.sframe")))
        identity = build_id.parent.name + build_id.stem
        assert facts.sidecar(identity) == str(sidecar.path(identity))
