"""Many kinds of Vulkan programs on a newer Mesa: unmodified panvk gives what lavapipe gives.

A group of programs is one process on each side.  Where an API leaves the last bit open (filtering, blending
by a shader, floats) so does the comparison, by the amounts in ``NEAR``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import astc_files
import glsl_wide
import numpy as np
import pytest
import vulkan_corners
import vulkan_formats
import vulkan_groups
import vulkan_pictures
import vulkan_script
import vulkan_textures
from glsl_corpus import Program
from vulkan_script import Case, Outcome

from ring3 import oracles
from ring3.gateway import sysroot
from ring3.gateway.vulkan import Mesa
from ring3.panthor import group, hardware

pytestmark = pytest.mark.oracle

#: Group -> how far a channel may be from lavapipe's: in units of its last place, or float16's.
NEAR = {
    "textures": 1,
    "images": 1,
    "compressed": 2,
    "ycbcr": 3,  # one before the conversion is up to three behind it
    "blends": 2,
    "targets": 1,
    "multisampled": 2,
    "transfers": 1,
    "interfaces": 1,
    "commands": 1,
    "corners": 3,
}
#: Case -> (how many channels of how many may differ, by how much, why).
LOOSE = {
    "read_depth24": (120, 1, "the last of 24 bits, as a byte of the picture"),
    "several_targets": (2, 255, "bytes of a float16 whose last place differs"),
    "samples_format97": (1, 3, "the mean of float16, and interpolation at samples"),
    "beyond": (
        4,
        255,
        "lavapipe cuts triangles at the screen's edges and interpolates between new corners",
    ),
    "near_plane": (2, 1, "likewise"),
    "mipmaps": (7700, 9, "lavapipe's approximate logarithm, where two levels mix"),
    "gradient": (8000, 10, "likewise"),
    "anisotropic": (5400, 7, "likewise; and its probes lie elsewhere, as Vulkan lets them"),
    "blocks140": (60, 3, "lavapipe mixes signed ends as integers of eight bits"),
    "blocks142": (60, 3, "likewise"),
    "point_coord": (8, 1, "a coordinate of 5.5 / 255 exactly"),
}
#: Cases whose numbers are each machine's own, or that lavapipe does not have: they have to run, and to write
#: something.
OPEN = {"occlusion_any", "timestamps", "samples16_37", "samples16_97"}
_WIDTHS = {
    vulkan_pictures.R5G6B5: ("<u2", (5, 6, 5)),
    vulkan_pictures.RGBA4: ("<u2", (4, 4, 4, 4)),
    vulkan_pictures.A1RGB5: ("<u2", (5, 5, 5, 1)),
    vulkan_pictures.RGB10A2: ("<u4", (10, 10, 10, 2)),
    vulkan_pictures.B10G11R11: ("<u4", (11, 11, 10)),
}


@pytest.fixture(scope="session")
def newer_mesa(tmp_path_factory: pytest.TempPathFactory) -> Mesa:
    return Mesa(oracles.ORACLES["mesa-newer"][0].path, tmp_path_factory.mktemp("wide"))


@pytest.fixture
def mesa(newer_mesa: Mesa, needs: Callable[[str], str]) -> Mesa:
    for part in ("oracle:mesa-newer", "oracle:mesa-native", "qemu-aarch64", "glslangValidator"):
        needs(part)
    needs("aarch64-linux-gnu-gcc")
    sysroot.add_device(newer_mesa.root)
    return newer_mesa


def channels(form: int, data: bytes) -> np.ndarray:
    """What a picture holds, as integers in the order of their values: differences count last places."""
    if form in (vulkan_pictures.R16F, vulkan_pictures.RGBA16F, vulkan_pictures.RG16F):
        raw = np.frombuffer(data, "<i2").astype(np.int64)
        return np.where(raw < 0, -(raw & 0x7FFF), raw)
    if form in (vulkan_pictures.R32F, vulkan_pictures.RGBA32F, vulkan_pictures.RG32F):
        raw = np.frombuffer(data, "<i4").astype(np.int64)
        return np.where(raw < 0, -(raw & 0x7FFFFFFF), raw) >> 8
    if form in (vulkan_pictures.RGBA16, vulkan_pictures.RG16):
        return np.frombuffer(data, "<u2").astype(np.int64) // 257
    if form in _WIDTHS:
        dtype, widths = _WIDTHS[form]
        words, parts, at = np.frombuffer(data, dtype).astype(np.int64), [], 0
        for width in widths:
            parts.append(words >> at & (1 << width) - 1)
            at += width
        return np.concatenate(parts)
    return np.frombuffer(data, np.uint8).astype(np.int64)


def verdict(group: str, case: Case, ours: Outcome, theirs: Outcome) -> str:
    """Empty when the case is right."""
    if ours.data is None or theirs.data is None:
        return f"ours: {ours.error[:600]} theirs: {theirs.error[:200]}"
    if case.name in OPEN:
        return "" if any(ours.data) else "nothing but zeros"
    a, b = channels(case.form, ours.data), channels(case.form, theirs.data)
    apart, (many, far, _) = np.abs(a - b), LOOSE.get(case.name, (0, 0, ""))
    wrong = np.flatnonzero(apart > NEAR.get(group, 0))
    if len(wrong) <= many and (not many or apart.max() <= far):
        return ""
    first = int(wrong[0])
    return (
        f"{len(wrong)} of {len(a)} channels differ, by {apart.max()} at most; "
        f"number {first} is {a[first]}, not {b[first]}"
    )


@pytest.mark.parametrize("group", vulkan_groups.GROUPS)
def test_graphics(mesa: Mesa, group: str) -> None:
    cases = vulkan_groups.GROUPS[group]()
    theirs = vulkan_script.run(mesa, cases, "theirs")
    ours = vulkan_script.run(mesa, cases, "ours")
    found = {case.name: verdict(group, case, ours[case.name], theirs[case.name]) for case in cases}
    assert not {name: words for name, words in found.items() if words}


def test_every_format(mesa: Mesa) -> None:
    """All uses of all formats that panvk offers work; what lavapipe offers, too, gives the same."""
    question = [vulkan_formats.question()]
    offered = {}
    for driver in ("ours", "theirs"):
        data = vulkan_script.run(mesa, question, driver)["formats"].data
        assert data is not None
        offered[driver] = vulkan_formats.cases(vulkan_formats.answer(data))
    ours = vulkan_script.run(mesa, [case for _, case in offered["ours"].values()], "ours")
    both = [case for name, (_, case) in offered["ours"].items() if name in offered["theirs"]]
    theirs = vulkan_script.run(mesa, both, "theirs")
    assert len(both) > 350
    found = {}
    for name, (form, _) in offered["ours"].items():
        data = ours[name].data
        if data is None:
            found[name] = ours[name].error[:600]
        elif name in theirs:
            wanted = theirs[name].data
            assert wanted is not None
            found[name] = vulkan_formats.verdict(form, name, data, wanted)
    assert not {name: words for name, words in found.items() if words}


def test_astc(mesa: Mesa, tmp_path: Path, needs: Callable[[str], str]) -> None:
    """lavapipe has no ASTC: Arm's astcenc says what the texels are."""
    needs("astcenc")
    cases, wanted = [], {}
    for size in astc_files.SIZES:
        blocks = astc_files.blocks(size, np.random.default_rng(sum(size)), tmp_path)
        for profile, narrow in (("dl", False), ("dl", True), ("ds", False), ("dh", False)):
            case = vulkan_textures.astc_case(size, profile, blocks, narrow)
            texels, legal = astc_files.decode(blocks, size, profile, tmp_path)
            texels[~legal] = [1, 0, 1, 1]
            rows = texels.reshape(16, 16, *texels.shape[1:]).transpose(0, 2, 1, 3, 4)
            cases.append(case)
            wanted[case.name] = rows.astype(np.float16) if profile == "dh" else np.rint(rows * 255)
    got = vulkan_script.run(mesa, cases, "ours")
    apart = {}
    for case in cases:
        data = got[case.name].data
        assert data is not None, got[case.name].error
        values = np.frombuffer(data, wanted[case.name].dtype if "dh" in case.name else np.uint8)
        apart[case.name] = np.abs(values - wanted[case.name].reshape(-1)).max()
    assert max(apart.values()) <= 1, apart
    assert not any(far for name, far in apart.items() if "dh" in name), apart


LOOP = """#version 450
layout(local_size_x = 64) in;
layout(binding = 0) buffer A { uint a[]; };
layout(binding = 1) buffer B { uint b[]; };
void main() {
  uint k = gl_GlobalInvocationID.x, x = k;
  for (uint n = 0u; n != a[0]; n++) x = x * 1664525u + b[x & 63u];
  b[64u + k] = x;
}
"""


@pytest.mark.parametrize("endless", [False, True])
def test_a_long_job_is_no_hanging_one(mesa: Mesa, endless: bool) -> None:
    """The time-out is a fifth of a second, which both take: what matters is whether they seem to end."""
    case = Case(f"long{endless}")
    count = np.array([0xFFFF_FFFF if endless else 2000], np.uint32)
    case.do("buffer", 0, 4, case.file(count)).do("buffer", 1, 4 * (64 + 16384))
    case.do("set", 0, 7, 0, 0, 7, 1, 0).do("compute", 0, 0, 0, case.shader("comp", LOOP))
    case.do("begin").do("use", 0).do("dispatch", 256, 1, 1).do("submit").save(1)
    began = time.monotonic()
    most = patch.object(hardware, "_INSTRUCTIONS", 60_000 if endless else 1 << 21)
    with patch.object(group, "JOB_TIMEOUT", 200_000_000), most:
        ours = vulkan_script.run(mesa, [case], "ours")[case.name]
    assert time.monotonic() - began > 0.3
    if endless:
        assert "timeout" in ours.error
        return
    assert ours.data is not None, ours.error
    assert ours.data == vulkan_script.run(mesa, [case], "theirs")[case.name].data


def test_sparse_images(mesa: Mesa) -> None:
    """lavapipe cannot draw into sparse images: into others it draws what ours has to hold."""
    cases = vulkan_corners.sparse_images(True)
    ours = vulkan_script.run(mesa, cases, "ours")
    theirs = vulkan_script.run(mesa, vulkan_corners.sparse_images(False), "theirs")
    found = {
        case.name: verdict("targets", case, ours[case.name], theirs[case.name]) for case in cases
    }
    assert not {name: words for name, words in found.items() if words}


def compute_case(program: Program) -> Case:
    """The same frame as ``glsl_corpus``: buffer 0 in, buffer 1 out."""
    case = Case(program.name)
    count = int(np.prod(program.local) * np.prod(program.groups))
    data = np.random.default_rng(7).integers(0, 1 << 32, 4 * max(count, 1024), np.uint32)
    case.do("buffer", 0, data.nbytes, case.file(data)).do("buffer", 1, 16 * max(count, 64))
    case.do("set", 0, 7, 0, 0, 7, 1, 0)
    case.do("compute", 0, 0, 0, case.shader("comp", program.source))
    return case.do("begin").do("use", 0).do("dispatch", *program.groups).do("submit").save(1)


def ordered(words: np.ndarray) -> np.ndarray:
    signed = words.view("<i4").astype(np.int64)
    return np.where(signed < 0, -(signed & 0x7FFFFFFF), signed)


def compute_verdict(program: Program, ours: Outcome, theirs: Outcome) -> str:
    if ours.data is None or theirs.data is None:
        return f"ours: {ours.error[:600]} theirs: {theirs.error[:200]}"
    a, b = np.frombuffer(ours.data, np.uint32), np.frombuffer(theirs.data, np.uint32)
    if program.any_value:
        return ""
    if program.absolute:
        apart = np.abs(a.view(np.float32) - b.view(np.float32))
        wrong = np.flatnonzero(~(apart <= program.absolute))
    else:
        wrong = np.flatnonzero(np.abs(ordered(a) - ordered(b)) > program.ulps)
    if program in glsl_wide.SUBGROUPS and "elect" not in program.name:
        # Both could be wrong alike: the program says 1 where its own loop agrees.
        count = int(np.prod(program.local) * np.prod(program.groups))
        wrong = np.flatnonzero(a[:count] != 1)
    if not len(wrong):
        return ""
    return f"{len(wrong)} words differ; number {wrong[0]} is {a[wrong[0]]:#x}, not {b[wrong[0]]:#x}"


@pytest.mark.parametrize(
    "group", ["SUBGROUPS", "WIDTHS", "FLOATS", "MEMORY", "ALGORITHMS"], ids=str.lower
)
def test_compute(mesa: Mesa, group: str) -> None:
    programs = getattr(glsl_wide, group)
    cases = [compute_case(program) for program in programs]
    theirs = vulkan_script.run(mesa, cases, "theirs")
    ours = vulkan_script.run(mesa, cases, "ours")
    found = {
        each.name: compute_verdict(each, ours[each.name], theirs[each.name]) for each in programs
    }
    assert not {name: words for name, words in found.items() if words}
