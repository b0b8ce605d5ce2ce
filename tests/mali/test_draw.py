"""Drawing: coverage, interpolation, depth, stencil, scissor, blending, heaps, layouts.

The reference for coverage is the definition itself, pixel by pixel in Python integers.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mali_machine import CHUNK, CODE, DEPTH, DESC, LESS, OVER, Scene, triangle

from ring3.mali import QueueFault, QueueState, TilerOutOfMemory
from ring3.mali.blending import blend_rgba8, times, times_exact
from ring3.mali.descriptors import Blend, DepthStencil, ShaderProgram, TilerContext
from ring3.mali.draw import assemble as primitives
from ring3.mali.formats import from_tiled, to_tiled
from ring3.mali.isa.asm import assemble
from ring3.mali.raster import scan, snap


def inside(corners, x: int, y: int) -> bool:
    """The rule: the centre is inside, or on a top or left edge.  Coordinates in 1/256 pixel."""
    area = (corners[1][0] - corners[0][0]) * (corners[2][1] - corners[0][1]) - (
        corners[1][1] - corners[0][1]
    ) * (corners[2][0] - corners[0][0])
    if area < 0:
        corners = [corners[0], corners[2], corners[1]]
    px, py = 256 * x + 128, 256 * y + 128
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        side = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
        top_left = by < ay or (by == ay and bx > ax)
        if side < 0 or (side == 0 and not top_left):
            return False
    return area != 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2000, 8000), st.integers(-2000, 6000)), min_size=3, max_size=3)
)
def test_coverage_is_the_definition(points):
    fixed = np.array([points], dtype=np.int64)
    area = np.linalg.det(np.array([[*p, 1] for p in points], dtype=float))
    if abs(area) < 0.5:
        return
    if area < 0:
        fixed = fixed[:, [0, 2, 1]]
    runs = scan(fixed - 128, (0, 0, 24, 16))
    got = {
        (x, int(y))
        for y, start, n in zip(runs.y, runs.x, runs.length, strict=True)
        for x in range(start, start + n)
    }
    assert got == {(x, y) for x in range(24) for y in range(16) if inside(list(points), x, y)}


def test_snapping():
    assert snap(np.array([0.5, 0.75, 1.0, 10.501953125])).tolist() == [0, 64, 128, 2560]


def test_triangles_that_share_edges_cover_each_pixel_once(bench):
    scene = Scene(bench, 50, 40)
    rng = np.random.default_rng(3)
    grid = {(i, j): (i * 10 + rng.uniform(-3, 3) * (0 < i < 5), j * 10 + rng.uniform(-3, 3) * (0 < j < 4))
            for i in range(6) for j in range(5)}  # fmt: skip
    mesh = []
    for i in range(5):
        for j in range(4):
            a, b, c, d = grid[i, j], grid[i + 1, j], grid[i, j + 1], grid[i + 1, j + 1]
            mesh += triangle([a, b, c], (1 / 255,) * 4) + triangle([b, d, c], (1 / 255,) * 4)
    adding = Blend(enable=1, color_mask=15, rgb=0x932, alpha=0x932, mode=2)  # S + D * (1 - 0)
    scene.draw(mesh, blend=adding)
    assert (scene.render() == 1).all()


def test_picture_and_clear(bench):
    scene = Scene(bench, 40, 30)
    points = [(3.25, 2.5), (36.75, 8.125), (12.5, 27.875)]
    scene.draw(triangle(points, (1, 0.5, 0, 1)))
    picture = scene.render(clear=0x44332211)
    fixed = [(int(x * 256), int(y * 256)) for x, y in points]
    for y in range(30):
        for x in range(40):
            want = (255, 128, 0, 255) if inside(fixed, x, y) else (0x11, 0x22, 0x33, 0x44)
            assert tuple(picture[y, x]) == want, (x, y)


@pytest.mark.parametrize("block", [1, 2])
def test_layouts_agree(bench, block):
    scene = Scene(bench, 70, 45, block=block)
    scene.draw(triangle([(0, 0), (70, 0), (0, 45)], (0.2, 0.4, 0.6, 0.8)))
    picture = scene.render()
    assert tuple(picture[0, 0]) == (51, 102, 153, 204) and tuple(picture[44, 69]) == (0, 0, 0, 0)


def test_tiled_layout_round_trip():
    image = np.arange(32 * 48 * 4, dtype=np.uint64).astype(np.uint8).reshape(32, 48, 4)
    rows = to_tiled(image)
    assert (from_tiled(rows, 48, 4) == image).all()
    # Pixel (x, y) = (1, 0) is the second of its block, (0, 1) the fourth, (1, 1) the third.
    assert rows[0, 4:8].tolist() == image[0, 1].tolist()
    assert rows[0, 12:16].tolist() == image[1, 0].tolist()
    assert rows[0, 8:12].tolist() == image[1, 1].tolist()


def test_perspective_interpolation(bench):
    scene = Scene(bench, 64, 64)
    corners = [(0, 0, 1.0), (64, 0, 0.25), (0, 64, 0.5)]
    colors = [(0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 0, 1)]
    scene.draw([(x, y, 0.5, w, *c) for (x, y, w), c in zip(corners, colors, strict=True)])
    picture = scene.render()
    for x, y in ((1, 1), (20, 10), (10, 40), (30, 30), (60, 1)):
        b, c = (x + 0.5) / 64, (y + 0.5) / 64
        weights = [(1 - b - c) * 1.0, b * 0.25, c * 0.5]
        for channel, weight in ((0, weights[1]), (1, weights[2])):
            assert abs(picture[y, x, channel] - 255 * weight / sum(weights)) <= 0.51


def test_depth_decides_in_any_order(bench):
    near, far = (
        triangle([(0, 0), (30, 0), (0, 30)], (1, 0, 0, 1), 0.25),
        triangle([(0, 0), (30, 0), (0, 30)], (0, 1, 0, 1), 0.75),
    )
    for order in ((near, far), (far, near)):
        scene = Scene(bench, 30, 30)
        scene.draw(order[0] + order[1], state=LESS)
        picture = scene.render(zs=True)
        assert tuple(picture[5, 5]) == (255, 0, 0, 255)
        depth = np.frombuffer(scene.machine.space.read(DEPTH, 30 * 30 * 4), dtype="<f4")
        assert depth[5 * 30 + 5] == 0.25 and depth[-1] == 1.0


def test_stencil_counts_and_rejects(bench):
    count = DepthStencil(
        type=7, depth_function=7, stencil_test=1, front_compare=4, back_compare=4,
        front_value_mask=255, back_value_mask=255, front_write_mask=255, back_write_mask=255,
        front_reference=2, back_reference=2, front_depth_pass=6, back_depth_pass=6,
    )  # fmt: skip
    adding = Blend(enable=1, color_mask=15, rgb=0x932, alpha=0x932, mode=2)
    scene = Scene(bench, 16, 16)
    one = triangle([(0, 0), (32, 0), (0, 32)], (10 / 255,) * 4)
    scene.draw(one * 5, blend=adding, state=count)  # reference 2 > value: only the first two pass
    assert (scene.render() == 20).all()


def test_scissor(bench):
    scene = Scene(bench, 32, 32)
    scene.draw(triangle([(-50, -50), (150, -50), (-50, 150)]), scissor=(5, 7, 20, 9))
    covered = np.argwhere(scene.render()[:, :, 0] == 255)
    assert covered.min(axis=0).tolist() == [7, 5] and covered.max(axis=0).tolist() == [9, 20]
    assert len(covered) == 3 * 16


def test_blending_keeps_order(bench):
    scene = Scene(bench, 8, 8)
    whole = [(-8, -8), (40, -8), (-8, 40)]
    layers = [(1, 0, 0, 0.5), (0, 1, 0, 0.25), (0, 0, 1, 0.75)]
    scene.draw([vertex for color in layers for vertex in triangle(whole, color)], blend=OVER)
    got = scene.render(clear=0xFF000000)[4, 4].astype(float)
    want = np.array([0, 0, 0, 1.0])
    for color in layers:
        want = want + (np.array(color) - want) * color[3]
    assert np.abs(got - 255 * want).max() <= 2


def test_blend_equations_against_fractions():
    rng = np.random.default_rng(5)
    source, old = rng.integers(0, 256, (2, 500, 4)).astype(np.uint8)
    s, d = source / 255.0, old / 255.0
    for function, exact in (
        (0x503, d + (s - d) * s[:, 3:]),
        (0x132, s),
        (0x533, d + d * s[:, 3:]),
        (0xD32, s + d * (1 - s[:, 3:])),
        (0x321, s * d),
        (0x221, s * s),
    ):
        blend = Blend(enable=1, color_mask=15, rgb=function, alpha=function, mode=2)
        for product in (times, times_exact):
            got = blend_rgba8(source, old, blend, product)
            assert np.abs(got - 255 * np.clip(exact, 0, 1)).max() <= 1.01, hex(function)


def test_exact_products():
    a, b = np.mgrid[0:256, 0:256]
    assert (times_exact(a, b) == (2 * a * b + 255) // 510).all()
    wrong = times(a, b) - times_exact(a, b)
    assert np.abs(wrong).max() == 1 and np.count_nonzero(wrong) == 24


def test_indices_and_strips(bench):
    quad = triangle([(0, 0), (20, 0), (0, 20), (20, 20)])
    for mode, indices in ((8, [0, 1, 2, 2, 1, 3]), (10, [0, 1, 2, 3]), (12, [0, 1, 3, 2])):
        scene = Scene(bench, 20, 20)
        scene.draw(quad, mode=mode, indices=indices)
        assert (scene.render() == 255).all(), mode


def test_primitive_order_of_strips_and_fans():
    indices = np.arange(5)
    assert primitives(10, indices, False, 0).tolist() == [[0, 1, 2], [1, 3, 2], [2, 3, 4]]
    assert primitives(12, indices, False, 0).tolist() == [[1, 2, 0], [2, 3, 0], [3, 4, 0]]
    cut = np.array([0, 1, 2, 0xFFFF, 3, 4, 5, 6])
    assert primitives(10, cut, True, 2).tolist() == [[0, 1, 2], [3, 4, 5], [4, 6, 5]]


def test_triangle_through_the_eye_is_clipped(bench):
    # One corner lies behind the eye: 1/w negative.  The picture is that of the part in front.
    scene = Scene(bench, 32, 32)
    clip_space = [(-1.0, -1.0, 0.5, 1.0), (1.0, -1.0, 0.5, 1.0), (0.0, 1.0, 0.5, -0.5)]
    rows = [
        (16 + 16 * x / w, 16 + 16 * y / w, z / w, 1 / w, 1, 1, 1, 1) for x, y, z, w in clip_space
    ]
    scene.draw(rows)
    picture = scene.render()[:, :, 0] == 255
    for y in range(32):
        for x in range(32):
            # Solve for the barycentric weights in clip space: inside when all three have one sign.
            matrix = np.array([[p[0], p[1], p[3]] for p in clip_space]).T
            weights = np.linalg.solve(matrix, [(x + 0.5 - 16) / 16, (y + 0.5 - 16) / 16, 1])
            if np.abs(weights).min() > 0.02:
                visible = (weights > 0).all()
                z = 0.5 * weights.sum()
                if visible and 0.01 < z < 0.99:
                    assert picture[y, x], (x, y)
                elif not visible:
                    assert not picture[y, x], (x, y)


def test_heap_grows_chunk_by_chunk(bench):
    scene = Scene(bench, 64, 64, chunks=1)
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 64, (1500, 3, 2))
    mesh = [vertex for corners in points for vertex in triangle(corners.tolist())]
    for _ in range(4):
        scene.draw(mesh)
        queue = scene.machine.group.state[0]
        while queue.state is QueueState.BLOCKED:
            queue.grant_chunk(scene.spare | CHUNK >> 12)
            scene.spare += CHUNK
            scene.machine.gpu.run()
    asked = scene.machine.of(TilerOutOfMemory)
    assert asked and asked[0].heap == DESC + 0x700 and asked[0].vt_started >= 1
    many = scene.render()
    single = Scene(bench, 64, 64, chunks=8)
    for _ in range(4):
        single.draw(mesh)
    assert (single.render() == many).all() and not single.machine.of(TilerOutOfMemory)


def test_no_chunk_is_a_fault(bench):
    scene = Scene(bench, 64, 64, chunks=1)
    mesh = triangle([(0, 0), (9, 0), (0, 9)]) * 4000
    scene.draw(mesh)
    assert scene.machine.group.state[0].state is QueueState.BLOCKED
    scene.machine.gpu.slots[0].queues[0].grant_chunk(0)
    scene.machine.gpu.run()
    (fault,) = scene.machine.of(QueueFault)
    assert fault.code.name == "OOM" and "RUN_IDVS" in fault.report


def test_finished_frame_gives_its_chunks_back(bench):
    scene = Scene(bench, 32, 32, chunks=2)
    for _ in range(6):
        scene.begin()
        scene.draw(triangle([(0, 0), (32, 0), (0, 32)]) * 200)
        scene.render()
        context = TilerContext.read(scene.machine.space, DESC + 0x500)
        scene.machine.submit(f"""
            MOVE d=d76 imm={context.completed_top:#x}
            MOVE d=d78 imm={context.completed_bottom:#x}
            FINISH_FRAGMENT increment_fragment_completed=1 first_heap_chunk=d76 last_heap_chunk=d78
        """)
    assert not scene.machine.of(TilerOutOfMemory)
    assert scene.machine.group.state[0].heap.frag_completed == 6


def test_derivatives_at_the_rim_of_a_triangle(bench):
    # The difference of x to the right neighbour in the quad is 1 everywhere, helpers included.
    scene = Scene(bench, 32, 32)
    shader = """
        U16_TO_F32 r0, r59.h00
        IADD_IMM.i32 r1, 0x0, #0x1
        CLPER.i32.subgroup4.xor r1, r0, r1
        FADD.f32 r0, r0, r1.neg
        FADD.f32 r0, r0.abs, 0x0.neg
        MOV.i32 r1, r0
        MOV.i32 r2, r0
        MOV.i32.wait0126 r3, r0
        ATEST.wait @r60, r60, r3, atest_datum.w0
        BLEND.slot0.v4.f32.end @r0:r1:r2:r3, blend_descriptor_0.w0, r60, target:0x0
    """
    scene.machine.space.write(CODE + 8192, assemble(shader))
    program = ShaderProgram(type=8, stage=2, binary=CODE + 8192, helpers=1)
    scene.machine.space.write(DESC + 64, program.pack())
    points = [(0.3, 0.2), (31.0, 16.5), (2.2, 31.9)]
    scene.draw(triangle(points))
    picture = scene.render()
    fixed = [(round(x * 256), round(y * 256)) for x, y in points]
    for y in range(32):
        for x in range(32):
            assert tuple(picture[y, x]) == ((255,) * 4 if inside(fixed, x, y) else (0,) * 4), (x, y)


def test_lying_descriptors_end_in_faults(bench):
    for address, data in (
        (DESC + 64, b"\xff" * 32),
        (DESC + 0x500 + 96, b"\x13" * 32),
        (DESC + 0x400, b"\xff" * 32),
        (DESC + 0x200, b"\xff" * 64),
        (DESC + 0x180, b"\xff" * 16),
    ):
        scene = Scene(bench, 16, 16)
        scene.machine.space.write(address, data)
        scene.draw(triangle([(0, 0), (16, 0), (0, 16)]))
        scene.frame()
        scene.machine.submit(f"FINISH_TILING\nMOVE d=d40 imm={DESC + 0x800 | 1:#x}\nRUN_FRAGMENT")
        queue = scene.machine.group.state[0]
        assert scene.machine.of(QueueFault) or queue.state in (QueueState.IDLE, QueueState.BLOCKED)
