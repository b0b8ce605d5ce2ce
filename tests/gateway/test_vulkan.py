"""Unmodified Vulkan programs: panvk on the simulated GPU gives what lavapipe gives."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import glsl_corpus
import numpy as np
import pytest

from ring3.gateway import sysroot
from ring3.gateway.session import Session
from ring3.gateway.vulkan import FRAGMENT_SHADER, VERTEX_SHADER, Mesa
from ring3.panthor.inject import Injection

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="session")
def mesa_parts(tmp_path_factory: pytest.TempPathFactory) -> Mesa:
    return Mesa(sysroot.tree().path, tmp_path_factory.mktemp("vulkan"))


@pytest.fixture
def mesa(mesa_parts: Mesa, needs: Callable[[str], str]) -> Mesa:
    needs("oracle:mesa")
    needs("qemu-aarch64")
    needs("glslangValidator")
    needs("aarch64-linux-gnu-gcc")
    sysroot.find()
    return mesa_parts


def put(mesa: Mesa, name: str, data: np.ndarray) -> Path:
    path = mesa.folder / name
    path.write_bytes(data.tobytes())
    return path


def both(
    mesa: Mesa, args: list[object], out: int, debug: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Run the client on both drivers; ``out`` is which argument names the output: (ours, lavapipe's)."""
    results = []
    for name in ("ours", "theirs"):
        args[out] = mesa.folder / name
        if name == "ours":
            status, log = mesa.panvk(*args, debug=debug)
        else:
            status, log = mesa.lavapipe(*args), []
        assert status == 0, log
        results.append(np.fromfile(mesa.folder / name, np.uint8))
    return results[0], results[1]


@pytest.mark.parametrize("size", [64, 4096, 1 << 20])
def test_fill(mesa: Mesa, size: int) -> None:
    ours, theirs = both(mesa, ["fill", "", size, 0x12345678], 1)
    assert np.array_equal(ours, theirs)
    assert ours.view("<u4")[-1] == 0x12345678


@pytest.mark.parametrize("size", [4, 100, 65536, 1 << 20])
def test_copy(mesa: Mesa, size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    ours, _ = both(mesa, ["copy", put(mesa, "in", data), ""], 2)
    assert np.array_equal(ours, data)


def _ordered(bits: np.ndarray) -> np.ndarray:
    """Floats' bits as integers in the order of their values, so that a difference counts ulps."""
    signed = bits.view("<i4").astype(np.int64)
    return np.where(signed < 0, -(signed & 0x7FFFFFFF), signed)


@pytest.mark.parametrize("program", glsl_corpus.PROGRAMS, ids=lambda program: program.name)
def test_compute(mesa: Mesa, program: glsl_corpus.Program) -> None:
    count = int(np.prod(program.local) * np.prod(program.groups))
    data = np.random.default_rng(7).integers(0, 1 << 32, max(count, 1024), np.uint32)
    shader = mesa.shader(f"{program.name}.comp", program.source)
    size = 4 * max(count, 64)
    args = ["compute", shader, put(mesa, "in", data), "", size, *program.groups]
    ours, theirs = both(mesa, args, 3, program.debug)
    if program.ulps:
        apart = np.abs(_ordered(ours) - _ordered(theirs))
        assert apart.max() <= program.ulps, np.flatnonzero(apart > program.ulps)[:8]
    else:
        wrong = np.flatnonzero(ours.view("<u4") != theirs.view("<u4"))
        assert not len(wrong), [
            (int(at), hex(ours.view("<u4")[at]), hex(theirs.view("<u4")[at])) for at in wrong[:4]
        ]


def triangles(seed: int, count: int, reach: float) -> np.ndarray:
    """Random triangles: x, y in +-``reach`` (1: the edge of the screen), z in [0, 1], colours, alpha."""
    dice = np.random.default_rng(seed)
    vertices = np.ones((3 * count, 8), np.float32)
    vertices[:, :2] = dice.uniform(-reach, reach, (3 * count, 2))
    vertices[:, 2] = dice.uniform(0, 1, 3 * count)
    vertices[:, 4:] = dice.uniform(0, 1, (3 * count, 4))
    return vertices


@pytest.mark.parametrize("flags", ["-", "d", "b", "db"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (333, 251), (1920, 1080)])
def test_triangles(mesa: Mesa, width: int, height: int, flags: str) -> None:
    one = np.ones((3, 8), np.float32)
    one[:, :2] = [(0, -0.8), (0.8, 0.8), (-0.8, 0.8)]
    one[:, 2] = 0.5
    one[:, 4:] = [(1, 0, 0, 0.5), (0, 1, 0, 0.75), (0, 0, 1, 1)]
    compare(mesa, one, None, width, height, flags)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("reach", "most_wrong"), [(1.0, 0), (1.3, 30)])
def test_many_indexed_triangles(mesa: Mesa, seed: int, reach: float, most_wrong: int) -> None:
    # Beyond the screen lavapipe cuts triangles and interpolates new corners, which moves a pixel here
    # and there: at most one in a thousand.
    vertices = triangles(seed, 12, reach)
    indices = np.random.default_rng(seed).permutation(len(vertices)).astype(np.uint16)
    compare(mesa, vertices, indices, 200, 150, "db", most_wrong)


def compare(
    mesa: Mesa,
    vertices: np.ndarray,
    indices: np.ndarray | None,
    width: int,
    height: int,
    flags: str,
    most_wrong: int = 0,
) -> None:
    args = [
        "draw",
        mesa.shader("plain.vert", VERTEX_SHADER),
        mesa.shader("plain.frag", FRAGMENT_SHADER),
        "",
        width,
        height,
        put(mesa, "vertices", vertices),
        "-" if indices is None else put(mesa, "indices", indices),
        flags,
    ]
    ours, theirs = both(mesa, args, 3)
    wrong = np.flatnonzero((ours != theirs).reshape(-1, 4).any(1))
    assert len(wrong) <= most_wrong, (
        f"{len(wrong)} of {width * height} pixels; first at "
        f"{wrong[0] % width},{wrong[0] // width}: {ours.reshape(-1, 4)[wrong[0]]} "
        f"instead of {theirs.reshape(-1, 4)[wrong[0]]}"
    )


class AfterTheStart(Injection):
    """Faults that spare the jobs with which panvk sets up its queues."""

    SET_UP = 5

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def take(self, fault: str) -> bool:
        self.asked[fault] += 1
        return self.asked[fault] > self.SET_UP and super().take(fault)


@pytest.mark.parametrize(
    ("fault", "words"), [("mmu_fault", "TRANSLATION_FAULT"), ("hang", "job timeout")]
)
def test_a_fault_is_a_lost_device_and_says_what_was_executing(
    mesa: Mesa, fault: str, words: str
) -> None:
    with Session() as session:
        session.panthor.injection = AfterTheStart()
        session.panthor.injection.arm(fault)
        command = [str(mesa.client), "fill", str(mesa.folder / "lost"), "65536", "1"]
        (status,) = session.run([command], root=mesa.root, environment=os.environ)
        log = "\n".join(line for _, line in session.kernel.log)
    assert status == 3  # how the client ends on VK_ERROR_DEVICE_LOST
    assert words in log
    assert "running pc" in log
