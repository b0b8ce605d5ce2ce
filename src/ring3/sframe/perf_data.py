"""perf.data files: what ``perf record`` writes and ``ring3 record`` writes, too.

A recording is a perf.data file, so that perf, hotspot and every importer open it; what ring3 adds for
unwinding elsewhere and later is one private feature section that other readers skip (:class:`Extras`).

Format: ``tools/perf/Documentation/perf.data-file-format.txt`` and the UAPI's ``linux/perf_event.h``.
Nothing is unwound or even decoded here: a file is its attributes and one run of raw records.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ring3.errors import BadInput, Unsupported
from ring3.files import map_input
from ring3.sframe.perf_event import ATTR_SIZE, Attr, walk

MAGIC = b"PERFILE2"
_HEADER_SIZE = 104
FEATURE_BUILD_ID = 2
FEATURE_ARCH = 6
FEATURE_AUXTRACE = 18
FEATURE_DIR_FORMAT = 24
FEATURE_COMPRESSED = 27
#: The private section's feature bit: the last of the 256, far from any that perf counts up to.
FEATURE_RING3 = 255
_EXTRAS_MAGIC = b"ring3rec"
EXTRAS_VERSION = 1

# Records that perf itself writes between the kernel's.
RECORD_HEADER_ATTR = 64
RECORD_HEADER_BUILD_ID = 67
RECORD_HEADER_FEATURE = 80
RECORD_COMPRESSED = 81
_MISC_BUILD_ID_SIZE = 1 << 15
_MOST_DECOMPRESSED = 2 << 30


@dataclass
class Extras:
    """What only the recorder could see.

    ``images`` are ELF files that cannot be opened by their name afterwards (the vDSO, deleted and
    replaced ones), as (name, build-id or "", bytes); ``perf_maps`` the /tmp/perf-PID.map symbol files
    of JIT compilers, by pid; ``command`` what was recorded.
    """

    command: list[str] = field(default_factory=list)
    images: list[tuple[str, str, bytes]] = field(default_factory=list)
    perf_maps: dict[int, bytes] = field(default_factory=dict)

    def pack(self) -> bytes:
        """Magic, u32 version, u32 length of a JSON directory, that directory, the blobs it points to."""
        blobs: list[bytes] = []

        def place(blob: bytes) -> dict[str, int]:
            offset = sum(map(len, blobs))
            blobs.append(blob)
            return {"offset": offset, "size": len(blob)}

        directory = json.dumps(
            {
                "command": self.command,
                "images": [
                    {"name": name, "build_id": build_id, **place(data)}
                    for name, build_id, data in self.images
                ],
                "perf_maps": [{"pid": pid, **place(data)} for pid, data in self.perf_maps.items()],
            }
        ).encode()
        head = _EXTRAS_MAGIC + struct.pack("<II", EXTRAS_VERSION, len(directory))
        return b"".join([head, directory, *blobs])

    @classmethod
    def unpack(cls, data: memoryview, where: str) -> Extras:
        """Read what :meth:`pack` wrote; BadInput when it is not that."""
        if len(data) < 16 or data[:8] != _EXTRAS_MAGIC:
            raise BadInput("the section of ring3 has no magic", where=where)
        version, length = struct.unpack_from("<II", data, 8)
        if version != EXTRAS_VERSION:
            raise Unsupported(
                f"the recording is of version {version}, this ring3 reads {EXTRAS_VERSION}",
                where=where,
                remedy="use the ring3 that recorded it",
            )
        try:
            directory = json.loads(bytes(data[16 : 16 + length]))
            blobs = data[16 + length :]

            def blob(entry: dict[str, Any]) -> bytes:
                offset, size = int(entry["offset"]), int(entry["size"])
                if offset < 0 or size < 0 or offset + size > len(blobs):
                    raise ValueError(f"a blob lies outside the section: {offset}+{size}")
                return bytes(blobs[offset : offset + size])

            return cls(
                [str(word) for word in directory["command"]],
                [(str(e["name"]), str(e["build_id"]), blob(e)) for e in directory["images"]],
                {int(e["pid"]): blob(e) for e in directory["perf_maps"]},
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput(f"the section of ring3 is malformed: {error}", where=where) from None


@dataclass(frozen=True)
class PerfData:
    """An opened perf.data file.

    ``records`` are the raw records, one behind the other, in ``order`` ("<" or ">"); ``ids[n]`` are the
    event ids that belong to ``attrs[n]``; ``machine`` is uname -m of the recorded machine, "" if
    it does not say; ``truncated`` says that recording was cut off before it was finished;
    ``build_ids`` are those that perf found for file names when it was done.
    """

    path: Path
    order: str
    attrs: list[Attr]
    ids: list[list[int]]
    records: memoryview
    machine: str
    extras: Extras
    truncated: bool
    build_ids: dict[str, str]


def read(path: Path | str) -> PerfData:
    """Open a perf.data file; the records stay a view into a map of it.

    Raises BadInput when it is malformed, Unsupported for AUX traces and directories.
    """
    path = Path(path)
    data = memoryview(map_input(path))
    where = str(path)
    if data[:8] not in (MAGIC, MAGIC[::-1]) or len(data) < 16:
        raise BadInput("not a perf.data file (PERFILE2)", where=where)
    order = "<" if data[:8] == MAGIC else ">"
    (size,) = struct.unpack_from(order + "Q", data, 8)
    if size == 16:
        return _read_pipe(path, data, order)
    if len(data) < _HEADER_SIZE:
        raise BadInput(f"cut off: {len(data)} of the header's {_HEADER_SIZE} bytes", where=where)
    if size != _HEADER_SIZE:
        raise BadInput(f"the header has {size} bytes, not {_HEADER_SIZE}", where=f"{where}+0x8")
    entry, attrs_at, attrs_size, data_at, data_size = struct.unpack_from(order + "5Q", data, 16)
    features = struct.unpack_from(order + "4Q", data, 72)
    if not 64 <= entry - 16 <= 4096:
        raise BadInput(f"an attribute has {entry} bytes", where=f"{where}+0x10")
    attrs, ids = [], []
    for at in range(attrs_at, attrs_at + min(attrs_size, len(data)) - entry + 1, entry):
        raw = _slice(data, at, entry, where)
        attrs.append(Attr.unpack(bytes(raw[: entry - 16]), order))
        ids_at, ids_size = struct.unpack_from(order + "QQ", raw, entry - 16)
        ids.append(_ids(_slice(data, ids_at, ids_size, where), order))
    # A perf that was killed never came back to write the size.
    truncated = data_size == 0 or data_at + data_size > len(data)
    end = len(data) if truncated else data_at + data_size
    records = data[min(data_at, len(data)) : end]
    sections = {} if truncated else _features(data, end, features, order, where)
    if FEATURE_DIR_FORMAT in sections:
        raise Unsupported("a perf.data folder", where=where, remedy="record without --threads")
    if FEATURE_AUXTRACE in sections:
        raise Unsupported("an AUX area trace", where=where, remedy="record without Intel PT or SPE")
    if not attrs:
        raise BadInput("it describes no event", where=where)
    if truncated or FEATURE_COMPRESSED in sections:
        records = _decompress(records, order, where)
    extras = Extras()
    if FEATURE_RING3 in sections:
        extras = Extras.unpack(sections[FEATURE_RING3], where)
    machine = _string(sections.get(FEATURE_ARCH, memoryview(b"")), order)
    build_ids = _build_ids(sections.get(FEATURE_BUILD_ID, memoryview(b"")), order)
    return PerfData(path, order, attrs, ids, records, machine, extras, truncated, build_ids)


class Writer:
    """Writes a perf.data file record by record; the file appears whole at :meth:`finish`, or never."""

    def __init__(self, path: Path, attr: Attr) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise BadInput("no such folder", where=str(self.path.parent))
        if self.path.exists() and not self.path.is_file():
            raise BadInput("a recording is written into a file only", where=str(self.path))
        try:
            handle, self._temporary = tempfile.mkstemp(
                prefix=f".{self.path.name}.", dir=self.path.parent
            )
        except OSError as error:
            error.filename = str(self.path)  # of the temporary file nobody knows
            raise
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._attr = attr
        self._data_at = _HEADER_SIZE + ATTR_SIZE + 16
        self._file.write(bytes(self._data_at))
        self.written = 0

    def add(self, records: bytes) -> None:
        """Append raw records."""
        self._file.write(records)
        self.written += len(records)

    def finish(self, machine: str, extras: Extras) -> None:
        """Write the header and what follows the records, and give the file its name."""
        name = machine.encode() + b"\0"
        name = name.ljust(len(name) + 63 & ~63, b"\0")
        sections = {
            FEATURE_ARCH: struct.pack("=I", len(name)) + name,
            FEATURE_RING3: extras.pack(),
        }
        at = self._data_at + self.written + 16 * len(sections)
        for blob in sections.values():
            self._file.write(struct.pack("=QQ", at, len(blob)))
            at += len(blob)
        for blob in sections.values():
            self._file.write(blob)
        bits = sum(1 << bit for bit in sections)
        self._file.seek(0)
        self._file.write(
            struct.pack(
                "=8s12Q",
                *(MAGIC, _HEADER_SIZE, ATTR_SIZE + 16),
                *(_HEADER_SIZE, ATTR_SIZE + 16, self._data_at, self.written, 0, 0),
                *(bits >> shift & (1 << 64) - 1 for shift in (0, 64, 128, 192)),
            )
        )
        self._file.write(self._attr.pack() + struct.pack("=QQ", 0, 0))
        self._file.close()
        Path(self._temporary).chmod(0o600)  # stacks hold whatever the process held
        Path(self._temporary).replace(self.path)

    def abandon(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # of a full disk
            self._file.close()
        Path(self._temporary).unlink(missing_ok=True)


def _read_pipe(path: Path, data: memoryview, order: str) -> PerfData:
    """The variant for pipes: attributes and features are records, too."""
    header = struct.Struct(order + "IHH")
    attrs, ids = [], []
    machine = ""
    build_ids: dict[str, str] = {}
    at = 16
    while at + 8 <= len(data):
        kind, _, size = header.unpack_from(data, at)
        body = data[at + 8 : at + size]
        if size < 8:
            break
        if kind == RECORD_HEADER_ATTR and len(body) >= 64:
            (attr_size,) = struct.unpack_from(order + "I", body, 4)
            attrs.append(Attr.unpack(bytes(body[:attr_size]), order))
            ids.append(_ids(body[attr_size:], order))
        elif kind == RECORD_HEADER_FEATURE and len(body) >= 8:
            (feature,) = struct.unpack_from(order + "Q", body, 0)
            if feature == FEATURE_ARCH:
                machine = _string(body[8:], order)
        elif kind == RECORD_HEADER_BUILD_ID:
            build_ids.update(_build_ids(data[at : at + size], order))
        at += size
    if not attrs:
        raise BadInput("it describes no event", where=str(path))
    records = _decompress(data[16:], order, str(path))
    return PerfData(path, order, attrs, ids, records, machine, Extras(), at != len(data), build_ids)


def _decompress(records: memoryview, order: str, where: str) -> memoryview:
    """Put in the records that ``perf record -z`` packed into others: one zstd stream through all of them.

    They come behind the plain ones; records carry their time, their order says nothing.
    """
    import zstandard

    plain: list[memoryview] = []
    packed: list[memoryview] = []
    for kind, _, at, size in walk(records, order):
        if kind == RECORD_COMPRESSED:
            packed.append(records[at + 8 : at + size])
        else:
            plain.append(records[at : at + size])
    if not packed:
        return records
    out = bytearray().join(plain)
    source = BytesIO(b"".join(packed))
    try:
        with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as stream:
            while piece := stream.read(1 << 20):
                out += piece
                if len(out) > _MOST_DECOMPRESSED:
                    raise BadInput(f"unpacks to over {_MOST_DECOMPRESSED >> 30} GiB", where=where)
    except zstandard.ZstdError as error:
        raise BadInput(f"a compressed record: {error}", where=where) from None
    return memoryview(out)


def _features(
    data: memoryview, at: int, features: Iterable[int], order: str, where: str
) -> dict[int, memoryview]:
    """Feature bit -> its section; the table of sections follows the records in the order of bits."""
    found = {}
    bits = sum(word << 64 * index for index, word in enumerate(features))
    for bit in range(256):
        if bits >> bit & 1:
            offset, size = struct.unpack(order + "QQ", _slice(data, at, 16, where))
            found[bit] = _slice(data, offset, size, where)
            at += 16
    return found


def _build_ids(section: memoryview, order: str) -> dict[str, str]:
    """File name -> build-id: build_id_event records, 24 bytes of id of which 20 or the 21st count."""
    found = {}
    for _, misc, at, size in walk(section, order):
        if size < 37:
            break
        length = 20
        if misc & _MISC_BUILD_ID_SIZE:
            length = min(section[at + 32], 20)
        name = bytes(section[at + 36 : at + size]).split(b"\0")[0].decode(errors="surrogateescape")
        found[name] = bytes(section[at + 12 : at + 12 + length]).hex()
    return found


def _slice(data: memoryview, at: int, size: int, where: str) -> memoryview:
    if at + size > len(data):
        raise BadInput(f"{size} bytes lie outside the file", where=f"{where}+{at:#x}")
    return data[at : at + size]


def _ids(raw: memoryview, order: str) -> list[int]:
    return list(struct.unpack(f"{order}{len(raw) // 8}Q", raw[: len(raw) // 8 * 8]))


def _string(raw: memoryview, order: str) -> str:
    """A perf_header_string: u32 length, then bytes ended by zeros."""
    if len(raw) < 4:
        return ""
    (length,) = struct.unpack_from(order + "I", raw, 0)
    return bytes(raw[4 : 4 + length]).split(b"\0")[0].decode(errors="replace")
