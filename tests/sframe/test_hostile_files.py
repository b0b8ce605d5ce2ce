"""Whole files with lies in them: every command ends with its answer or one error."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3 import arch
from ring3.elf import Elf
from ring3.errors import BadInput, Ring3Error
from ring3.sframe import convert, dump, load, perf_data, section, stat, table, verify
from ring3.sframe.core import Core
from ring3.sframe.decode import decode
from ring3.sframe.encode import encode


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    """A small library with a .sframe section, and an object file."""
    folder = tmp_path_factory.mktemp("victims")
    (folder / "a.c").write_text("int f(int *); int g(int n) { int a[9]; return f(a) + n; }\n")
    try:
        for flags, name in ((["-shared", "-fPIC"], "a.so"), (["-c"], "a.o")):
            command = ["gcc", "-O2", *flags, folder / "a.c", "-o", folder / name]
            subprocess.run(command, check=True)
    except OSError:
        pytest.skip("gcc is not here")
    convert.add(folder / "a.so", folder / "b.so")
    return folder


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["b.so", "a.o"]), st.data())
def test_damaged_files(victims, name, data):
    good = bytearray((victims / name).read_bytes())
    (headers,) = struct.unpack_from("<Q", good, 40)
    places = st.one_of(
        st.integers(0, 0x400), st.integers(headers, len(good) - 1), st.integers(0, len(good) - 1)
    )
    for _ in range(data.draw(st.integers(1, 6))):
        value = data.draw(st.sampled_from([0, 0xFF, 0x7F, 0x80, 1]))
        good[data.draw(places)] = value
    path = victims / "damaged"
    path.write_bytes(good[: data.draw(st.sampled_from([len(good), len(good) // 2]))])
    report = stat.measure(str(path), verify=True)
    assert report.error or report.differences == 0
    for attempt in (
        lambda: list(dump.text(load.sframe(path))),
        lambda: verify.check(path, load.sframe(path)),
        lambda: convert.add(path, victims / "out"),
        lambda: convert.convert(path, source="sframe", version=2),
    ):
        try:
            attempt()
        except Ring3Error as error:
            assert str(path) in str(error) or "piece" in str(error)


def shared_block(functions: int, rows: int) -> bytes:
    """A section whose functions, 64 KiB each, all point to one block of ``rows`` rows."""
    block = struct.pack("<HBBB", rows, 1, 0, 0)
    block += b"".join(struct.pack("<HBB", n, 3, 8 + n % 2 * 8) for n in range(rows))
    index = np.zeros(functions, section.INDEX[3])
    index["start"] = np.arange(functions) * (0x10000 - 16)
    index["size"] = 0x10000
    head = struct.pack(
        "<HBBBbbBIIIII",
        *(0xDEE2, 3, 5, 3, 0, -8, 0, functions, rows, len(block), 0, index.nbytes),
    )
    return head + index.tobytes() + block


def test_a_small_file_cannot_ask_for_four_billion_rows(monkeypatch):
    monkeypatch.setattr(verify, "_PIECES_MAX", 1 << 20)
    made = decode(section.parse(shared_block(60000, 65535)))
    assert len(made.rows) == 65535 + (0 if len(made.rows) == 65535 else 1)
    before = time.process_time()
    again = encode(made)
    assert again.functions == 60000
    assert len(again.data) < 2_000_000
    with pytest.raises(Ring3Error, match="rows"):
        encode(made, share=False)
    with pytest.raises(Ring3Error, match="pieces"):
        verify.compare(made, made)
    assert time.process_time() - before < 60


def test_rows_of_plts_do_not_overflow():
    """Each function of a few bytes asks for 128 rows; there is an end to it, and nothing breaks."""
    from ring3.sframe import cfi

    cie = b"\0\0\0\0\1\0\x01\x78\x10\x0c\x07\x08\x90\x01"
    data = bytearray(len(cie).to_bytes(4, "little") + cie)
    # CFA = rsp + (rip & 127)
    program = b"\x0f\x08\x77\x00\x80\x00\x08\x7f\x1a\x22"
    for n in range(2000):
        body = (len(data) + 4).to_bytes(4, "little")
        body += (0x1000 * n).to_bytes(8, "little") + (0x1000).to_bytes(8, "little") + program
        data += len(body).to_bytes(4, "little") + body
    made = cfi.interpret(arch.by_name("x86_64"), np.frombuffer(bytes(data), np.uint8), 0)
    assert len(made.functions) + len(made.refused) == 2000
    assert {refusal.reason for refusal in made.refused} == {table.Reason.ROWS}
    assert len(made.rows) <= len(data)
    assert (made.functions["rep_size"] == 128).all()


def test_no_path_no_traceback():
    with pytest.raises(OSError, match="nowhere"):
        load.sframe(Path("/nowhere"))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full", "/", "fifo"])
def test_what_is_no_file_is_not_read(path, tmp_path):
    """A device has no end, and a pipe without a writer is a wait without one."""
    if path == "fifo":
        os.mkfifo(tmp_path / path)
    for read in (Elf, Core, perf_data.read, load.sframe):
        with pytest.raises(BadInput, match="not a regular file"):
            read(tmp_path / path)
