"""Coverage-guided fuzzing of everything that reads bytes from outside, with atheris.

    python tests/sframe/fuzz_sframe.py TARGET [--corpus FOLDER] [-max_total_time=600 or other of libFuzzer]
    python tests/sframe/fuzz_sframe.py TARGET --compiled FILE...

What Numba compiles cannot be instrumented, so here ``njit`` is the identity and atheris sees every branch of
the loops, too.  The seeds are made of real files; inputs that reach something new are kept in the corpus.
``--compiled`` runs inputs through the compiled code, with every index checked.

A fault is any exception other than ring3's own, an input that takes ten seconds, or 2 GiB of memory.  One
exception is let pass: OverflowError, where Python's integers or NumPy's stores refuse what machine
integers wrap; the compiled run is what judges those.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

COMPILED = "--compiled" in sys.argv
if COMPILED:
    os.environ["NUMBA_BOUNDSCHECK"] = "1"
    # Code with checks is cached apart from code without.
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "ring3-fuzz-numba")

import numba  # noqa: E402 - reads its settings when it is imported

if not COMPILED:
    import atheris

    def interpreted(*_: Any, **__: Any) -> Callable[[Any], Any]:
        """``njit(...)``: fields of records become attributes, as Numba has them, and results wrap."""

        def decorate(function: Any) -> Any:
            def call(*args: Any) -> Any:
                return wrapped(function(*map(records, args)))

            return call

        return decorate

    def wrapped(value: Any) -> Any:
        """Integers as a register of 64 bits holds them: addresses from 2^63 on are negative."""
        if isinstance(value, tuple):
            return tuple(map(wrapped, value))
        if type(value) is int:
            return (value + (1 << 63)) % (1 << 64) - (1 << 63)
        return value

    def records(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.names:
            return value.view(Records)
        return value

    class Records(np.ndarray):
        """An array of records whose elements have their fields as attributes."""

        def __getitem__(self, key: Any) -> Any:
            found = super().__getitem__(key)
            return Record(found) if isinstance(found, np.void) else found

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, value.held if isinstance(value, Record) else value)

    class Record:
        """One record in place."""

        def __init__(self, held: np.void) -> None:
            self.__dict__["held"] = held

        def __getattr__(self, name: str) -> int:
            return int(self.held[name])

        def __setattr__(self, name: str, value: int) -> None:
            self.held[name] = value

    numba.njit = interpreted

with (
    contextlib.nullcontext()
    if COMPILED
    else atheris.instrument_imports(include=["ring3.sframe", "ring3.elf"])
):
    from ring3 import arch
    from ring3.elf import Elf
    from ring3.errors import Ring3Error
    from ring3.files import cache_folder
    from ring3.sframe import (
        abi as abis,
    )
    from ring3.sframe import (
        bulk,
        cfi,
        dump,
        encode,
        facts_of_elf,
        orc,
        perf_data,
        perf_event,
        samples,
        section,
        table,
        unwind,
        verify,
    )
    from ring3.sframe.core import Core
    from ring3.sframe.decode import decode
    from ring3.sframe.facts import Facts
    from ring3.sframe.perf_event import Attr, Flag, SampleType
    from ring3.sframe.spaces import MAPPING
    from ring3.sframe.symbols import read_perf_map

MACHINES = [arch.by_name(name) for name in section.ABI_OF]
MOST_MEMORY = 2 << 30  # bytes
MOST_CODE = 1 << 16  # bytes: a few thousand pieces at most


def fuzz_section(data: bytes) -> None:
    """Decode, print, encode, decode again: the same table."""
    parsed = section.parse(data)
    made = decode(parsed)
    for _ in dump.text(parsed):
        pass
    for version in (2, 3):
        again = encode.encode(made, version=version)
        back = decode(section.parse(again.data))
        if version == 3 and not again.refused and comparable(made.functions):
            verdict = verify.compare(back, made)
            assert not verdict.differences, verdict


def comparable(functions: np.ndarray) -> bool:
    """Whether to compare at every pc: not where look-ups depend on the order of functions, nor for long."""
    start, size = functions["start"], functions["size"]
    return bool((start[1:] - start[:-1] >= size[:-1]).all()) and int(size.sum()) < MOST_CODE


def fuzz_cfi(data: bytes, debug: bool = False) -> None:
    """Interpret, encode, decode: the same table."""
    if not data:
        return
    machine = MACHINES[data[0] % len(MACHINES)]
    made = cfi.interpret(machine, np.frombuffer(data[1:], np.uint8), 0x1000, debug=debug)
    encoded = encode.encode(made)
    back = decode(section.parse(encoded.data))
    if not encoded.refused and comparable(made.functions):
        assert not verify.compare(back, made).differences


def fuzz_orc(data: bytes) -> None:
    """Rows of ORC entries."""
    layouts = list(orc.LAYOUTS.values())
    if data:
        layout = layouts[data[0] % len(layouts)]
        body = data[1 : 1 + (len(data) - 1) // 6 * 6]
        orc.rows_of(np.frombuffer(body, orc.ENTRY), layout)


def fuzz_unwind(data: bytes) -> None:
    """A table, registers and a stack of the same bytes: the two engines must agree."""
    if len(data) < 16:
        return
    abi = list(abis.ABIS.values())[data[0] % len(abis.ABIS)]
    count = data[1] % 8
    rows: Any = np.zeros(3 * count, table.ROW)
    raw = np.frombuffer(data[16 : 16 + 12 * len(rows)].ljust(12 * len(rows), b"\0"), np.int8)
    fields = raw.reshape(-1, 12)
    functions: Any = np.zeros(count, table.FUNCTION)
    for index in range(count):
        flags = (data[2 + index] >> 4) & 3
        functions[index] = (64 * index, 64, 3 * index, data[2 + index] % 4, flags, 16)
    for number, name in enumerate(("cfa_offset", "ra_offset", "fp_offset")):
        rows[name] = fields[:, number]
    for number, name in enumerate(("cfa_reg", "ra_reg", "fp_reg")):
        rows[name] = fields[:, 3 + number].view(np.uint8) % abi.count
    rows["start"] = np.arange(3 * count) % 3 * 7
    rows["cfa"] = 3 | fields[:, 6] & 4
    for number, name in enumerate(("ra", "fp")):
        rows[name] = fields[:, 7 + number] & 7
    rows["mangled"] = fields[:, 9] & 1
    rest = data[16 + 12 * len(rows) :]
    values = [int.from_bytes(rest[2 * n : 2 * n + 2], "little") for n in range(abi.count)]
    stack = rest[2 * abi.count :][: 1 << 14]
    order = "<" if abi.endian == "little" else ">"
    base = values[abi.sp]

    def memory(address: int) -> int | None:
        inside = address - base
        if not 0 <= inside <= len(stack) - 8:
            return None
        return struct.unpack_from(order + "Q", stack, inside)[0]

    rules = unwind.Rules(functions.tobytes(), rows.tobytes())
    module = unwind.Module(0, 512, tables=[(unwind.How.CONVERTED, rules)])
    one = unwind.Registers(values[abi.pc], list(values))
    trace = unwind.unwind(one, memory, unwind.Modules([module]), abi)
    assert len(trace.frames) <= unwind.MOST_FRAMES
    frames, stop = in_bulk(abi, functions, rows, values, stack)
    assert [frame.pc for frame in trace.frames] == frames
    assert trace.stop == stop


def in_bulk(
    abi: Any, functions: np.ndarray, rows: np.ndarray, values: list[int], stack: bytes
) -> tuple[list[int], int]:
    """The same by the engine for many samples."""
    one: Any = np.zeros(1, samples.SAMPLE)
    one["has_registers"], one["stack_size"], one["sp"] = 1, len(stack), values[abi.sp]
    mappings: Any = np.zeros(1, MAPPING)
    mappings["end"] = 512
    recorded = samples.Samples(
        path=Path("fuzz"),
        arch=arch.by_name(abi.name),
        order="<" if abi.endian == "little" else ">",
        data=np.frombuffer(stack + bytes(8), np.uint8),
        samples=one,
        registers=np.array([values], np.int64),
        mappings=mappings,
        space_first=np.array([0, 1], np.int64),
        images=[],
        extras=perf_data.Extras(),
        comms={},
        lost=0,
        truncated=False,
        event="",
    )
    known = bulk.World(
        np.zeros(1, np.int64),
        np.array([(0, len(functions), 0, unwind.How.CONVERTED, 0)], bulk.TABLE),
        np.array([0, 1], np.int64),
        functions,
        rows if len(rows) else np.zeros(1, table.ROW),
        [Facts()],
    )
    traces = bulk.unwind(recorded, known)
    return [int(pc) % 2**64 for pc in traces.pc], int(traces.stop[0])


def fuzz_perf_data(data: bytes) -> None:
    """A whole recording: read, joined with no files, unwound by frame pointer."""
    recorded = samples.read(in_file(data))
    known = bulk.world(recorded, lambda number: (None, Facts()))
    bulk.unwind(recorded, known)


def fuzz_perf_map(data: bytes) -> None:
    """What a JIT compiler says."""
    found = read_perf_map(data)
    for address in (0, 0x1000, 1 << 40, (1 << 64) - 1):
        if (index := found.find(address)) >= 0:
            found.text(index)


def fuzz_elf(data: bytes) -> None:
    """A whole file: its tables and its names, or why there are none."""
    found = facts_of_elf.make_from("fuzz", data)
    assert found.tables or found.problem


def fuzz_core(data: bytes) -> None:
    """A core dump without its files."""
    dump_ = Core(in_file(data))
    modules = dump_.modules()
    for thread in dump_.threads()[:4]:
        unwind.unwind(thread.registers, dump_.word, modules, dump_.abi)


_FILE = tempfile.NamedTemporaryFile(prefix="ring3-fuzz-")  # noqa: SIM115 - lives as long as the run


def in_file(data: bytes) -> str:
    """A file that holds ``data``; one name, since a run makes millions."""
    Path(_FILE.name).write_bytes(data)
    return _FILE.name


TARGETS: dict[str, Callable[[bytes], None]] = {
    "section": fuzz_section,
    "cfi": fuzz_cfi,
    "debug": lambda data: fuzz_cfi(data, debug=True),
    "orc": fuzz_orc,
    "unwind": fuzz_unwind,
    "perf_data": fuzz_perf_data,
    "perf_map": fuzz_perf_map,
    "elf": fuzz_elf,
    "core": fuzz_core,
}


# -- seeds: pieces of real files ---------------------------------------------------------------------------

#: The smallest section: one AMD64 function with one row, CFA = SP + 8.
EXAMPLE = bytes.fromhex(
    "e2de0305 0300f800 01000000 01000000 08000000 00000000 10000000"
    "0010000000000000 10000000 00000000 0100000000 000308"
)
REAL = ("/bin/true", "/usr/aarch64-linux-gnu/lib/libdl.so.2", "/usr/s390x-linux-gnu/lib/libdl.so.2")


def seeds(target: str) -> Iterator[bytes]:
    """Real inputs, small ones."""
    real = [path for path in map(Path, REAL) if path.exists()]
    if target == "section":
        yield EXAMPLE
        for path in real:
            with Elf(path) as elf:
                made = cfi.read(elf)
            few = table.Table(made.arch, made.functions[:20], made.rows)
            for version in (2, 3):
                yield encode.encode(few, version=version, share=version == 3).data
    elif target in ("cfi", "debug"):
        yield b"\0" * 9
        for path in real:
            with Elf(path) as elf:
                held = elf.section(".eh_frame")
                assert held is not None and elf.arch is not None
                number = MACHINES.index(elf.arch)
                yield bytes([number]) + bytes(elf.contents(held))[:3000]
    elif target == "orc":
        for layout in range(len(orc.LAYOUTS)):
            yield bytes([layout]) + b"".join(
                struct.pack("<hhH", 8 * n, -16, 0x13 * n & 0xFFFF) for n in range(40)
            )
    elif target == "unwind":
        generator = np.random.default_rng(1)
        for machine in range(len(abis.ABIS)):
            yield bytes([machine]) + generator.bytes(900)
    elif target == "perf_data":
        yield recording()
    elif target == "perf_map":
        yield b"1000 20 f1\n2000 40 f2 of x\n1000 8 again\n"
    elif target == "elf":
        for path in real:
            yield path.read_bytes()
    else:
        yield core()


def recording() -> bytes:
    """Two samples with registers, a stack and a chain, and the records that name a file and a thread."""
    kinds = SampleType.TID | SampleType.TIME | SampleType.IP | SampleType.CALLCHAIN
    kinds |= SampleType.REGS_USER | SampleType.STACK_USER
    attr = Attr(sample_type=kinds, flags=Flag.SAMPLE_ID_ALL, regs_user=0xFF0FFF, stack_user=64)
    trailer = struct.pack("=IIQ", 7, 7, 1)
    name = b"/bin/true".ljust(16, b"\0")
    mapped = struct.pack("=IIQQQ", 7, 7, 0x1000, 0x1000, 0) + name + trailer
    comm = struct.pack("=II8s", 7, 7, b"true") + trailer
    registers = struct.pack("=Q20Q", 2, *range(0x1000, 0x1000 + 20))
    stack = struct.pack("=Q64sQ", 64, bytes(range(64)), 64)
    sample = struct.pack("=QIIQQ2Q", 0x1010, 7, 7, 2, 2, 0x1010, 0x1020) + registers + stack
    with tempfile.TemporaryDirectory() as folder:
        writer = perf_data.Writer(Path(folder, "data"), attr)
        for kind, body in ((perf_event.RECORD_MMAP, mapped), (3, comm), (9, sample), (9, sample)):
            writer.add(struct.pack("=IHH", kind, 2, 8 + len(body)) + body)
        writer.finish("x86_64", perf_data.Extras(["true"], [("[vdso]", "", b"x")], {7: b"1 2 f"}))
        return Path(folder, "data").read_bytes()


def core() -> bytes:
    """A thread, the name of a mapped file, and a page of stack."""
    prstatus = struct.pack("<32xi76x27Q8x", 7, *range(0x2000, 0x2000 + 27))
    mapped = struct.pack("<5Q", 1, 4096, 0x1000, 0x3000, 0) + b"/bin/true\0"
    notes = b""
    for kind, body in ((1, prstatus), (0x46494C45, mapped)):
        notes += struct.pack("<III8s", 5, len(body), kind, b"CORE") + body + bytes(-len(body) % 4)
    phdrs = struct.pack("<IIQQQQQQ", 4, 4, 0xB0, 0, 0, len(notes), 0, 4)
    phdrs += struct.pack("<IIQQQQQQ", 1, 5, 0xB0 + len(notes), 0x2000, 0, 512, 4096, 4096)
    head = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    return head + phdrs + notes + bytes(range(256)) * 2


# -- running -----------------------------------------------------------------------------------------------


def run(target: Callable[[bytes], None], data: bytes) -> None:
    """One input: an answer or ring3's error."""
    allowed: tuple[type[Exception], ...] = (Ring3Error,)
    if not COMPILED:
        allowed += (OverflowError,)
    with contextlib.suppress(*allowed):
        target(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument(
        "--corpus", type=Path, help="by default ring3's cache: it grows from run to run"
    )
    parser.add_argument("--compiled", nargs="+", type=Path, metavar="FILE")
    options, rest = parser.parse_known_args()
    target = TARGETS[options.target]
    np.seterr(all="ignore")  # machine integers wrap
    if COMPILED:
        files = [
            path
            for named in options.compiled
            for path in (sorted(named.iterdir()) if named.is_dir() else [named])
        ]
        for path in files:
            try:
                run(target, path.read_bytes())
            except Exception as error:
                raise AssertionError(f"{options.target}: {path}") from error
        print(f"{options.target}: {len(files)} inputs through the compiled code")
        return
    corpus = options.corpus or cache_folder("fuzz", options.target)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(options.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    # libFuzzer's own limit reads the peak of getrusage(2), which execve leaves as the parent had it.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    limits = ["-timeout=10", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *limits, *rest, str(corpus)], lambda data: run(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
