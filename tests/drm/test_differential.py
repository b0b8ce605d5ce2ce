"""Fence programs: what sync_file, dma-buf and syncobj rules say of small ones, and many random ones."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Sequence
from errno import EINVAL, ENOENT, ETIME
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.dma_buf.file import File
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm.differential import Program, complete, disagreements, random_program, run, shrink
from ring3.drm.differential.compare import Disagreement
from ring3.drm.differential.machine import Machine, ProgramProcess
from ring3.drm.differential.mock import MockDevice
from ring3.drm.differential.operations import OPERATIONS
from ring3.drm.differential.peer import build_executor, read_answers, write_programs
from ring3.drm.differential.program import Block, Now, Slot, Step, Value
from ring3.drm.differential.wire import compile_program
from ring3.drm.file import DrmFile
from ring3.drm.syncobj import Syncobj
from ring3.errors import BadInput
from ring3.gateway.memory import host_memory
from ring3.gateway.server import Device, Gateway
from ring3.kernel import Kernel


def answers(text: str) -> list[str]:
    return run(Program.parse(text))


def last(text: str) -> str:
    return answers(text)[-1]


def test_a_timeline_signals_in_order() -> None:
    told = answers("""
        OPEN node=1 -> $1
        SW_SYNC_IOC_CREATE_FENCE $1 value=2 -> $2
        SW_SYNC_IOC_CREATE_FENCE $1 value=3 -> $3
        POLL $2 events=1
        SW_SYNC_IOC_INC $1 step=2
        POLL $2 events=1
        POLL $3 events=1
    """)
    assert told[3:] == ["0 0", "0 2", "0 1", "0 0"]


def test_closing_a_timeline_fails_what_is_pending() -> None:
    told = answers("""
        OPEN node=1 -> $1
        SW_SYNC_IOC_CREATE_FENCE $1 value=9 -> $2
        SYNC_IOC_FILE_INFO $2 num_fences=1 sync_fence_info=Z[80]
        CLOSE $1
        SYNC_IOC_FILE_INFO $2 num_fences=1 sync_fence_info=Z[80]
    """)
    assert told[2] == '0 "sw_sync-program#-#" 0 0 1 0 "program" "sw_sync" 0 0 0'
    assert told[4].endswith(f'{-ENOENT} 0 1 0 "signaled-timeline" "detached-driver" {-ENOENT} 0 1')


def test_merging_keeps_one_fence_a_timeline() -> None:
    told = answers("""
        OPEN node=1 -> $1
        OPEN node=1 -> $2
        SW_SYNC_IOC_CREATE_FENCE $1 value=1 -> $3
        SW_SYNC_IOC_CREATE_FENCE $1 value=2 -> $4
        SW_SYNC_IOC_CREATE_FENCE $2 value=1 -> $5
        SYNC_IOC_MERGE $3 fd2=$4 name=B[97,0] -> $6
        SYNC_IOC_FILE_INFO $6
        SYNC_IOC_MERGE $6 fd2=$5 name=B[98,0] -> $7
        SYNC_IOC_FILE_INFO $7
        SYNC_IOC_MERGE $3 fd2=$1
        SYNC_IOC_MERGE $3 fd2=$4 flags=1
    """)
    assert told[6] == '0 "a" 0 0 1 0'
    assert told[8] == '0 "b" 0 0 2 0'
    assert [told[9].split()[0], told[10].split()[0]] == [str(ENOENT), str(EINVAL)]


def test_a_wait_ends_by_another_thread_or_by_a_signal() -> None:
    far = "timeout_nsec=now+9000000000"
    told = answers(f"""
        SYNCOBJ_CREATE $0 -> $1
        SYNCOBJ_TIMELINE_WAIT $0 handles=I[$1] points=Q[2] count_handles=1 {far} flags=2 &1
        SYNCOBJ_WAIT $0 handles=I[$1] count_handles=1 timeout_nsec=now+2000000 flags=2 &2
        SYNCOBJ_TIMELINE_SIGNAL $0 handles=I[$1] points=Q[1] count_handles=1
        JOIN thread=2
        SYNCOBJ_TIMELINE_SIGNAL $0 handles=I[$1] points=Q[2] count_handles=1
        JOIN thread=1
        SYNCOBJ_TIMELINE_WAIT $0 handles=I[$1] points=Q[3] count_handles=1 {far} flags=2 &1
        JOIN thread=1
        SYNCOBJ_TIMELINE_WAIT $0 handles=I[$1] points=Q[3] count_handles=1 timeout_nsec=now+2000000 flags=2
    """)
    errors = [line.split()[0] for line in told]
    assert errors == ["0"] * 7 + ["0", "4", str(ETIME)]


def test_processes_share_files_and_not_descriptors() -> None:
    told = answers("""
        EVENTFD count=1 -> $1
        FORK
        1: READ $1
        READ $1
        1: OPEN node=1 -> $2
        CLOSE $2
        GETFD $2 -> $3
        1: CLOSE $2
        SW_SYNC_IOC_CREATE_FENCE $3 value=1 -> $4
    """)
    assert told == ["0 4", "0", "0 1", "0 -2", "0 5", "9", "0 5", "0 0", '0 1 "" 6']


def test_buffers_carry_fences() -> None:
    told = answers("""
        MOCK_CREATE_BO $0 size=4096 -> $1
        PRIME_HANDLE_TO_FD $0 handle=$1 flags=0x80002 -> $2
        OPEN node=1 -> $3
        SW_SYNC_IOC_CREATE_FENCE $3 value=1 -> $4
        POLL $2 events=5
        DMA_BUF_IOCTL_IMPORT_SYNC_FILE $2 fd=$4 flags=1
        POLL $2 events=5
        DMA_BUF_IOCTL_EXPORT_SYNC_FILE $2 flags=1 -> $5
        DMA_BUF_IOCTL_EXPORT_SYNC_FILE $2 flags=2 -> $6
        POLL $5 events=1
        POLL $6 events=1
        SW_SYNC_IOC_INC $3 step=1
        POLL $6 events=1
    """)
    # A reader's fence holds up writers (OUT), not readers (IN).
    assert told[4] == "0 5"
    assert told[6] == "0 1"
    assert told[9:] == ["0 1", "0 0", "0 1", "0 1"]


def test_jobs_of_the_mock_driver_wait_fail_and_die() -> None:
    told = answers("""
        SYNCOBJ_CREATE $0 -> $1
        SYNCOBJ_CREATE $0 -> $2
        MOCK_CREATE_CONTEXT $0 priority=2 -> $3
        MOCK_CREATE_CONTEXT $0 priority=2 -> $4
        MOCK_SUBMIT $0 context=$3 credits=1 signal=$1
        MOCK_SUBMIT $0 context=$4 credits=4 wait=$1 signal=$2
        MOCK_ADVANCE $0 count=9 error=-5
        SYNCOBJ_EXPORT_SYNC_FILE $0 handle=$1 flags=1 -> $5
        SYNC_IOC_FILE_INFO $5
        MOCK_SUBMIT $0 context=$3 credits=4 signal=$1
        MOCK_SUBMIT $0 context=$4 credits=1 signal=$2
        MOCK_DESTROY_CONTEXT $0 id=$4
        MOCK_ADVANCE $0 count=9
        SYNCOBJ_EXPORT_SYNC_FILE $0 handle=$2 flags=1 -> $5
        SYNC_IOC_FILE_INFO $5
        MOCK_SUBMIT $0 context=$4 credits=1
    """)
    assert told[6] == "0 9 -5 2 2"
    assert told[8].split()[2] == "-5"
    assert told[12] == "0 9 0 1 3"
    assert told[14].split()[2] == "-3"
    assert told[15].split()[0] == str(ENOENT)


# -- random programs ------------------------------------------------------------------------------


def test_random_programs_are_repeatable_and_broad() -> None:
    seen: Counter[str] = Counter()
    succeeded: Counter[str] = Counter()
    errnos: set[int] = set()
    for seed in range(200):
        program = random_program(seed)
        assert Program.parse(str(program)) == program
        told = run(program)
        if seed < 10:
            assert told == run(random_program(seed))
        for step, answer in zip(program.steps, told, strict=True):
            errno = int(answer.split()[0])
            seen[step.name] += 1
            succeeded[step.name] += errno == 0
            errnos.add(errno)
    assert set(seen) == set(OPERATIONS)
    rarely = [name for name in seen if succeeded[name] < 3]
    assert rarely == [], "every operation also works now and then"
    assert {0, 2, 4, 9, 13, 14, 19, 22, 25, 29, 62} <= errnos


_VALUES: st.SearchStrategy[Value] = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.integers(0, 8),
    st.builds(Slot, st.integers(0, 6)),
    st.builds(Now, st.integers(-1000, 1000)),
    st.builds(lambda values: Block("I", tuple(values)), st.lists(st.integers(0, 5), max_size=4)),
)


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    operation = OPERATIONS[draw(st.sampled_from(sorted(OPERATIONS)))]
    args = {}
    for name in operation.fields:
        if operation.ioctl is None:
            args[name] = draw(st.integers(-4, 20))
        elif name != "name":
            args[name] = draw(_VALUES)
    if "flags" in args and "begin" in operation.name:
        args["flags"] = 0
    on = Slot(draw(st.integers(0, 6))) if operation.on else None
    to = draw(st.none() | st.integers(1, 6))
    thread = draw(st.integers(1, 3)) if operation.waits else 0
    return Step(operation.name, on, args, to, draw(st.sampled_from([0, 0, 1])), thread)


@given(st.lists(_steps(), max_size=15))
def test_any_program_runs_to_its_end_and_leaves_nothing(steps: list[Step]) -> None:
    program = Program(tuple(steps))
    assert Program.parse(str(program)) == program
    told = run(program)
    assert len(told) == len(steps)


def test_every_reference_is_given_back() -> None:
    """After the processes have ended no file and no sync object is held, whatever was done and failed."""
    kept = {id(thing) for thing in counted()}
    for seed in range(30):
        machine = Machine()
        machine.run(compile_program(random_program(seed)))
        machine.close()
        left = [thing for thing in counted() if id(thing) not in kept and thing.refs > 0]
        assert left == [], f"program {seed}"


def counted() -> list[File | Syncobj]:
    return [thing for thing in gc.get_objects() if issubclass(type(thing), File | Syncobj)]


@pytest.mark.parametrize(
    "text",
    ["POLL", "NONSENSE $1", "OPEN $1", "POLL $99 events=1", "POLL $1 event=1", "POLL $1 events=x",
     "POLL $1 events", "CLOSE now", "CLOSE Z[99999]", "CLOSE Q[", "DUP $1 -> 3", f"POLL {1 << 70}"],
)  # fmt: skip
def test_bad_programs_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(BadInput):
        run(Program.parse(text))


# -- the same through the gateway -----------------------------------------------------------------

#: What the host's VFS answers for the descriptors that stand for our files.
HOST_CALLS = {"LSEEK", "READ", "MMAP", "POLL"}


class Through:
    """Programs executed by a real process, whose calls reach this kernel through the gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executor = build_executor(folder)

    def __call__(self, programs: Sequence[Program]) -> list[list[str]]:
        given, told = self.folder / "programs", self.folder / "answers"
        write_programs(given, programs)
        kernel = Kernel(clock="real")
        device = MockDevice(kernel, allocate=host_memory)
        nodes = {
            "/dev/dri/renderD128": Device(
                lambda process: DrmFile(device, process), os.makedev(226, 128)
            ),
            "/dev/sw_sync": Device(
                lambda process: SwSync(device.fences, process.comm), os.makedev(10, 125)
            ),
        }
        gateway = Gateway(kernel, nodes)
        assert gateway.run([str(self.executor), str(given), str(told), *nodes]) == 0
        gateway.close()
        kernel.close()
        return read_answers(told, programs)


class Polled(ProgramProcess):
    """The gateway polls a file when it makes its descriptor, by which a fence may learn of its signal."""

    def install(self, file: File, *, cloexec: bool = True) -> int:
        file.poll()
        return super().install(file, cloexec=cloexec)


def without_host_calls(program: Program) -> Program:
    """Only what the gateway carries; no threads, whose interruption it learns of late."""
    kept = [step for step in program.steps if step.name not in HOST_CALLS | {"JOIN"}]
    return Program(tuple(step for step in kept if not step.thread))


def test_a_process_behind_the_gateway_sees_the_same(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    needs("gcc")
    programs = [without_host_calls(complete(random_program(seed))) for seed in range(40)]
    found = disagreements(programs, Through(tmp_path), lambda program: run(program, process=Polled))
    assert [str(other) for other in found] == []


def test_a_disagreement_is_shrunk() -> None:
    """Against a kernel that mistakes the second increment of a timeline."""

    def elsewhere(programs: Sequence[Program]) -> list[list[str]]:
        told = []
        for program in programs:
            lines = run(program)
            steps = [i for i, step in enumerate(program.steps) if step.name == "SW_SYNC_IOC_INC"]
            good = [i for i in steps if lines[i].startswith("0")]
            if len(good) > 1:
                lines[good[1]] = "99"
            told.append(lines)
        return told

    programs = [random_program(seed) for seed in range(40)]
    found = disagreements(programs, elsewhere)
    assert found
    small = shrink(found[0], elsewhere)
    assert isinstance(small, Disagreement)
    assert len(small.program.steps) <= 4, "one or two timelines, two increments"
    assert str(small).endswith("there: 99")
