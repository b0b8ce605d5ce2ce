"""A profile in the formats of other tools: collapsed stacks, speedscope, pprof, and the flame graph.

Collapsed: one ``frame;frame;frame COUNT`` a line (Brendan Gregg's flamegraph.pl).  speedscope: its
file format's JSON schema, ``sampled`` profiles.  pprof: ``profile.proto`` of github.com/google/pprof,
gzipped protobuf.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from ring3 import __version__
from ring3.errors import BadInput
from ring3.files import write_atomically
from ring3.sframe.flamegraph import flame_graph
from ring3.sframe.profile import Profile


def collapsed(profile: Profile) -> str:
    """Collapsed stacks, sorted, equal ones joined; frames of equal names are one."""
    lines: dict[str, int] = {}
    for stack, count in zip(profile.stacks, profile.counts, strict=True):
        names = (profile.functions[index].name for index in stack)
        # The format knows neither quotes nor escapes.
        line = ";".join(" ".join(name.replace(";", ":").splitlines()) for name in names)
        lines[line] = lines.get(line, 0) + count
    return "".join(f"{line} {count}\n" for line, count in sorted(lines.items()))


def speedscope(profile: Profile) -> str:
    """A speedscope file: one profile of all stacks, each weighted by its samples."""
    weight = profile.period if profile.unit == "nanoseconds" else 1
    weights = [count * weight for count in profile.counts]
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": f"ring3 {__version__}",
            "name": profile.title,
            "shared": {
                "frames": [
                    {"name": function.name, **({"file": function.file} if function.file else {})}
                    for function in profile.functions
                ]
            },
            "profiles": [
                {
                    "type": "sampled",
                    "name": profile.title,
                    "unit": "nanoseconds" if profile.unit == "nanoseconds" else "none",
                    "startValue": 0,
                    "endValue": sum(weights),
                    "samples": [list(stack) for stack in profile.stacks],
                    "weights": weights,
                }
            ],
        },
        separators=(",", ":"),
    )


def pprof(profile: Profile) -> bytes:
    """A gzipped pprof profile: a location and a function for every function, a sample for every stack."""
    strings: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    clock = profile.unit == "nanoseconds"
    period_type = (text("cpu" if clock else "cycles"), text(profile.unit))
    out = bytearray()
    out += _message(1, (1, text("samples")), (2, text("count")))
    out += _message(1, (1, period_type[0]), (2, period_type[1]))
    for stack, count in zip(profile.stacks, profile.counts, strict=True):
        leaf_first = _packed(index + 1 for index in reversed(stack))
        value = _packed([count, round(count * profile.period)])
        out += _field(2, _field(1, leaf_first) + _field(2, value))
    for index, function in enumerate(profile.functions):
        line = _message(4, (1, index + 1))
        out += _field(4, _numbers((1, index + 1)) + line)
        name, file = text(function.name), text(function.file)
        out += _message(5, (1, index + 1), (2, name), (3, name), (4, file))
    for value_ in strings:
        out += _field(6, value_.encode(errors="replace"))
    out += _message(11, (1, period_type[0]), (2, period_type[1]))
    out += _numbers((12, round(profile.period)))
    return gzip.compress(bytes(out), mtime=0)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _packed(values: Iterable[int]) -> bytes:
    return b"".join(map(_varint, values))


def _numbers(*fields: tuple[int, int]) -> bytes:
    """Fields of wire type 0; zeros are left out, as proto3 does."""
    return b"".join(_varint(field << 3) + _varint(value) for field, value in fields if value)


def _field(field: int, body: bytes) -> bytes:
    """A field of wire type 2: a message, a string, packed numbers."""
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _message(field: int, *fields: tuple[int, int]) -> bytes:
    return _field(field, _numbers(*fields))


#: Ending of a file's name -> what to write into it.
FORMATS: dict[str, Callable[[Profile], str | bytes]] = {
    ".html": flame_graph,
    ".collapsed": collapsed,
    ".folded": collapsed,
    ".speedscope.json": speedscope,
    ".pb.gz": pprof,
}


def check(path: Path) -> None:
    """Raise BadInput unless the name of ``path`` says in which format to write."""
    if not any(path.name.endswith(ending) for ending in FORMATS):
        raise BadInput(
            "its name does not say in which format", where=str(path), remedy=", ".join(FORMATS)
        )


def write(profile: Profile, path: Path) -> None:
    """Write ``profile`` to ``path`` in the format that its name says, atomically."""
    check(path)
    make = next(make for ending, make in FORMATS.items() if path.name.endswith(ending))
    write_atomically(path, make(profile))
