"""Primitives, states of the rasteriser, and what goes into and out of graphics shaders."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import (
    D16,
    D24S8,
    D32,
    D32S8,
    FRAGMENT,
    FULL,
    ONE,
    R8,
    S8,
    VERTEX,
    Picture,
    fragment,
    mesh,
    simple,
)
from vulkan_script import STORAGE, UNIFORM, Case


def topologies() -> list[Case]:
    sized = VERTEX.replace("gl_PointSize = 1.0", "gl_PointSize = 1.0 + 7.0 * colour.a")
    coord = fragment("pixel = vec4(gl_PointCoord, shade.x, 1.0);")
    restart16 = np.array([0, 1, 2, 3, 0xFFFF, 4, 5, 6, 0xFFFF, 7, 8, 9, 10], np.uint16)
    restart32 = restart16.astype(np.uint32)
    restart32[restart16 == 0xFFFF] = 0xFFFFFFFF
    restart8 = restart16.astype(np.uint8)
    some = mesh(11, 5)
    grid = np.zeros((40, 8), np.float32)
    grid[:, 0], grid[:, 1] = (np.arange(40) % 8 - 3.7) / 4, (np.arange(40) // 8 - 2.3) / 3
    grid[:, 3], grid[:, 4:] = 1, mesh(40, 2)[:, 4:]
    cross = np.zeros((8, 8), np.float32)
    cross[:, :2] = [
        (-0.9, -0.5),
        (0.8, -0.5),
        (0.3, -0.9),
        (0.3, 0.9),
        (-0.9, -0.9),
        (0.9, 0.7),
        (-0.7, 0.9),
        (0.2, -0.4),
    ]
    cross[:, 3], cross[:, 4:] = 1, mesh(8, 3)[:, 4:]
    return [
        simple("points", grid, settings="topology 0"),
        simple("points_random", mesh(50, 9), settings="topology 0"),
        simple("points_large", grid, vertex=sized, settings="topology 0"),
        simple("point_coord", grid, vertex=sized, shader=coord, settings="topology 0"),
        simple("lines", cross, settings="topology 1"),
        simple("lines_random", mesh(40, 4), settings="topology 1"),
        simple("line_strip", mesh(12, 6), settings="topology 2"),
        simple("lines_wide", cross, settings="topology 1 width 5.0"),
        simple("triangle_strip", some, settings="topology 4"),
        simple("triangle_fan", some, settings="topology 5"),
        simple("restart16", some, settings="topology 4 restart", indices=restart16),
        simple("restart32", some, settings="topology 4 restart", indices=restart32),
        simple(
            "restart8",
            some,
            settings="topology 5 restart",
            indices=np.where(restart8 == 255, 255, restart8).astype(np.uint8),
        ),
        simple("restart_lines", some, settings="topology 2 restart", indices=restart16),
        simple("indexed8", mesh(9, 1), indices=np.array([8, 1, 2, 3, 4, 5, 6, 7, 0], np.uint8)),
        simple("indexed32", mesh(9, 1), indices=np.array([8, 1, 2, 3, 4, 5, 6, 7, 0], np.uint32)),
        simple(
            "base_vertex",
            mesh(12, 8),
            indices=np.array([0, 1, 2, 5, 4, 3], np.uint16),
            draw="draw_indexed 3 1 3 5 0;draw_indexed 3 1 0 1 0",
        ),
        simple("first_vertex", mesh(12, 8), draw="draw 6 1 4 0"),
        simple(
            "instances",
            ONE * np.float32(0.4),
            vertex=VERTEX.replace(
                "gl_Position = position",
                "gl_Position = vec4(position.xy + vec2(gl_InstanceIndex % 3 - 1, gl_InstanceIndex / 3 - 1) * 0.6, 0.5, 1.0)",
            ),
            draw="draw 3 7 0 2",
        ),
        simple("several_draws", mesh(30, 11), draw="draw 9 1 0 0;draw 9 1 9 0;draw 12 1 18 0"),
    ]


def raster_states() -> list[Case]:
    two = np.concatenate([mesh(3, 1), mesh(3, 4), mesh(3, 2), mesh(3, 7)])
    deep = two.copy()
    deep[:, 2] = deep[:, 2] * 2 - 0.5
    facing = fragment("pixel = gl_FrontFacing ? shade : vec4(1.0, 0.0, 1.0, 1.0);")
    near = mesh(12, 21)
    near[:, 3] = np.random.default_rng(3).uniform(-0.5, 2, 12)
    cases: list[Case] = [
        simple(
            f"cull{cull}_{'cw' if way else 'ccw'}",
            two,
            settings=f"cull {cull}" + (" clockwise" if way else ""),
        )
        for cull in (1, 2, 3)
        for way in (0, 1)
    ]
    cases += [
        simple("front_facing", two, shader=facing),
        simple("front_facing_cw", two, shader=facing, settings="clockwise"),
        simple("depth_bias", two, settings="depth 1 1 bias 4.0 0.0 1.5", zs=D32),
        simple("depth_bias16", two, settings="depth 1 1 bias -8.0 0.0 -0.5", zs=D16),
        simple("depth_clamp", deep, settings="depth 1 1 clamp", zs=D32),
        simple("depth_clip", deep, settings="depth 1 1", zs=D32),
        simple("near_plane", near, settings="depth 1 1", zs=D32),
        simple(
            "viewport", two, before=["viewport 10 5 40 30 0.25 0.75"], settings="depth 1 1", zs=D32
        ),
        simple("viewport_flipped", two, before=["viewport 0 48 64 -48 0 1"]),
        simple("viewport_large", two, before=["viewport -20 -20 120 100 0 1"]),
        simple(
            "viewport_depth_reversed",
            two,
            before=["viewport 0 0 64 48 1 0"],
            settings="depth 1 4",
            zs=D32,
            depth="0.0 0",
        ),
        simple("scissor", two, before=["scissor 13 7 30 21"]),
        simple("scissor_empty", two, before=["scissor 13 7 0 0"]),
        simple("raster_discard", two, settings="discard"),
        simple("beyond", mesh(12, 33, 3.0)),
        simple("odd_size", two, size=(67, 35)),
        simple("one_pixel", two, size=(1, 1)),
        simple("wide_target", two, size=(517, 3)),
    ]
    for op in range(8):
        cases.append(
            simple(f"depth_compare{op}", two, settings=f"depth 1 {op}", zs=D32, depth="0.5 0")
        )
    cases.append(simple("depth_read_only", two, settings="depth 0 1", zs=D24S8, depth="0.5 0"))
    for op in range(8):
        side = f"{op} {(op + 3) % 8} {(op + 5) % 8} {op} 255 {0xF7 if op & 1 else 255} 5"
        case = Picture(f"stencil{op}", zs=D24S8 if op & 1 else D32S8)
        case.vertices(two)
        case.pipeline(0, settings=f"depth 1 1 stencil {side} {side.replace(' 5', ' 3')}")
        case.pipeline(
            1,
            FULL.replace("0.25", "0.0"),
            fragment("pixel = vec4(at, 1.0, 1.0);", inputs="layout(location = 0) in vec2 at;"),
            "topology 4 stencil 0 0 0 4 255 255 4 0 0 0 4 255 255 4",
            inputs="",
        )
        case.start(depth="0.6 4")
        case.do("use 0").do("vertices 0 0 0").do("draw 12 1 0 0").do("use 1").do("draw 4 1 0 0")
        cases.append(case.finish())
    for name, zs, aspect in (
        ("depth32", D32, 2),
        ("depth16", D16, 2),
        ("depth24", D24S8, 2),
        ("stencil_out", D24S8, 4),
        ("stencil_only", S8, 4),
    ):
        case = Picture(f"read_{name}", zs=zs)
        case.vertices(two)
        case.pipeline(
            0,
            settings=("depth 1 1 " if aspect == 2 else "")
            + "stencil 0 2 0 7 255 255 9 0 4 0 7 255 255 3"
            if zs in (D24S8, S8)
            else "depth 1 1",
        )
        case.start(depth="0.9 7")
        case.do("use 0").do("vertices 0 0 0").do("draw 12 1 0 0").do("end_rendering").do("barrier")
        cases.append(case.take(1, aspect=aspect))
    return cases


def interfaces() -> list[Case]:
    """Vertex inputs, varyings, built-ins, resources of graphics shaders."""
    cases: list[Case] = []
    for form, dtype, width in (
        (R8, "u1", 4),
        (37, "u1", 4),
        (38, "i1", 4),
        (41, "u1", 4),
        (42, "i1", 4),
        (44, "u1", 4),
        (64, "u4", 4),
        (74, "u2", 4),
        (77, "u2", 4),
        (83, "f2", 4),
        (91, "u2", 8),
        (92, "i2", 8),
        (95, "u2", 8),
        (97, "f2", 8),
        (98, "u4", 4),
        (99, "i4", 4),
        (100, "f4", 4),
        (103, "f4", 8),
        (106, "f4", 12),
        (107, "u4", 16),
        (109, "f4", 16),
        (76, "f2", 4),
        (122, "u4", 4),
        (10, "i1", 4),
        (16, "u1", 4),
        (68, "u4", 4),
    ):
        kind = (
            "uvec4"
            if form in (41, 74, 95, 98, 107, 68)
            else "ivec4"
            if form in (42, 99)
            else "vec4"
        )
        dice = np.random.default_rng(form)
        raw = (
            dice.uniform(0, 1, (3, width // np.dtype(dtype).itemsize)).astype(dtype)
            if dtype[0] == "f"
            else dice.integers(0, 256, (3, width), np.uint8).view(dtype)
        )
        case = Picture(f"vertex_format{form}")
        data = np.zeros((3, 16 + width), np.uint8)
        data[:, :16] = ONE[:, :4].copy().view(np.uint8)
        data[:, 16:] = np.ascontiguousarray(raw).view(np.uint8).reshape(3, width)
        case.vertices(data)
        scale = "vec4(v % 256) / 255.0" if kind != "vec4" else "v"
        case.pipeline(
            0,
            f"#version 450\nlayout(location = 0) in vec4 p; layout(location = 1) in {kind} v; layout(location = 0) out vec4 shade; void main() {{ gl_Position = p; shade = abs({scale}); }}",
            inputs=f"binding 0 {16 + width} 0 attribute 0 0 109 0 attribute 1 0 {form} 16",
        )
        case.start()
        case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
        cases.append(case.finish())
    for name, qualifier in (
        ("flat", "flat"),
        ("noperspective", "noperspective"),
        ("centroid", "centroid"),
        ("smooth", "smooth"),
    ):
        data = ONE.copy()
        data[:, :4] *= np.array([[1], [3], [0.5]], np.float32)
        cases.append(
            simple(
                f"varying_{name}",
                data,
                vertex=VERTEX.replace(
                    "layout(location = 0) out vec4", f"layout(location = 0) {qualifier} out vec4"
                ),
                shader=FRAGMENT.replace(
                    "layout(location = 0) in vec4", f"layout(location = 0) {qualifier} in vec4"
                ),
            )
        )
    outs = "".join(f"layout(location = {k}) out vec4 v{k}; " for k in range(12))
    ins = outs.replace("out vec4", "in vec4")
    cases.append(
        simple(
            "many_varyings",
            ONE,
            vertex="#version 450\nlayout(location = 0) in vec4 position; layout(location = 1) in vec4 colour;"
            + outs
            + "void main() { gl_Position = position;"
            + "".join(f"v{k} = colour * {k + 1}.0 / 12.0;" for k in range(12))
            + "}",
            shader=fragment(
                "pixel = ("
                + " + ".join(f"v{k}.{'xyzw'[k % 4]}xyw" for k in range(12))
                + ") / 8.0;",
                inputs=ins,
            ),
        )
    )
    cases += [
        simple(
            "integer_varying",
            ONE,
            vertex=VERTEX.replace(
                "out vec4 shade;", "out vec4 shade; layout(location = 1) flat out ivec3 n;"
            ).replace(
                "shade = colour;", "shade = colour; n = ivec3(gl_VertexIndex * 50 + 20, -3, 7);"
            ),
            shader=fragment(
                "pixel = vec4(n.x / 255.0, -n.y / 10.0, n.z / 20.0, 1.0);",
                inputs="layout(location = 0) in vec4 shade; layout(location = 1) flat in ivec3 n;",
            ),
        ),
        simple(
            "frag_coord",
            ONE,
            shader=fragment(
                "pixel = vec4(fract(gl_FragCoord.xy / 16.0), gl_FragCoord.z, gl_FragCoord.w);"
            ),
        ),
        simple(
            "primitive_id",
            mesh(12, 3),
            shader=fragment(
                "pixel = vec4(float(gl_PrimitiveID) / 8.0, shade.yz, 1.0);",
                inputs="layout(location = 0) in vec4 shade;",
            ).replace("#version 450", "#version 450"),
        ),
        simple(
            "discard",
            ONE,
            shader=fragment(
                "if (int(gl_FragCoord.x + gl_FragCoord.y) % 3 == 0) discard; pixel = shade;"
            ),
        ),
        simple(
            "discard_depth",
            mesh(12, 3),
            shader=fragment("if (int(gl_FragCoord.x) % 2 == 0) discard; pixel = shade;"),
            settings="depth 1 1",
            zs=D32,
        ),
        simple(
            "early_tests",
            mesh(12, 3),
            shader=fragment(
                "if (int(gl_FragCoord.x) % 2 == 0) discard; pixel = shade;",
                "layout(early_fragment_tests) in;",
            ),
            settings="depth 1 1",
            zs=D32,
        ),
        simple(
            "write_depth",
            mesh(12, 3),
            shader=fragment("gl_FragDepth = shade.x; pixel = shade;"),
            settings="depth 1 1",
            zs=D32,
        ),
        simple(
            "derivatives",
            ONE,
            shader=fragment(
                "pixel = vec4(abs(dFdx(shade.x)) * 30.0, abs(dFdy(shade.y)) * 30.0, fwidth(shade.z) * 10.0, 1.0);"
            ),
        ),
        simple(
            "derivatives_fine",
            mesh(12, 3),
            shader=fragment(
                "pixel = vec4(abs(dFdxFine(shade.x)) * 8.0, abs(dFdyFine(shade.y)) * 8.0, fwidthCoarse(shade.z) * 8.0, 1.0);"
            ),
        ),
        simple(
            "fragment_loop",
            ONE,
            shader=fragment(
                "vec4 c = shade; for (int k = 0; k < int(gl_FragCoord.x) % 9; k++) c = fract(c * 1.5 + 0.1); pixel = c;"
            ),
        ),
        simple(
            "push_both",
            ONE,
            vertex=VERTEX.replace(
                "layout(location = 0) out",
                "layout(push_constant) uniform P { vec2 move; vec2 scale; vec4 tint; }; layout(location = 0) out",
            ).replace(
                "gl_Position = position",
                "gl_Position = vec4(position.xy * scale + move, position.zw)",
            ),
            shader=fragment(
                "pixel = shade * tint;",
                "layout(push_constant) uniform P { vec2 move; vec2 scale; vec4 tint; };",
            ),
            push="0.2 -0.1 0.5 0.75 1.0 0.5 0.25 1.0",
        ),
        simple(
            "half_fragment",
            ONE,
            shader=fragment(
                "f16vec4 h = f16vec4(shade) * float16_t(0.5); pixel = vec4(h + float16_t(0.25));",
                inputs="#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\nlayout(location = 0) in vec4 shade;",
            ),
        ),
        simple("mediump", ONE, shader=fragment("mediump vec4 h = shade * 0.5; pixel = h + 0.25;")),
    ]
    perspective = mesh(12, 3)
    w = np.random.default_rng(9).uniform(0.5, 3, (12, 1)).astype(np.float32)
    perspective[:, :4] *= w
    cases.append(simple("perspective", perspective, settings="depth 1 1", zs=D32))
    case = Picture("two_bindings")
    case.vertices(np.ascontiguousarray(ONE[:, :4]) * np.array([0.5, 0.5, 1, 1], np.float32))
    case.vertices(
        np.array(
            [[0.2, 0.3, 0.9, 1], [0.9, 0.1, 0.2, 1], [0.3, 0.8, 0.1, 1], [1, 1, 0, 1]], np.float32
        ),
        2,
    )
    case.pipeline(
        0,
        VERTEX.replace(
            "gl_Position = position",
            "gl_Position = position + vec4(gl_InstanceIndex - 1, 0, 0, 0) * 0.4",
        ),
        inputs="binding 0 16 0 binding 3 16 1 attribute 0 0 109 0 attribute 1 3 109 0",
    )
    case.start()
    case.do("use 0").do("vertices 0 0 0").do("vertices 3 2 0").do("draw 3 3 0 1")
    cases.append(case.finish())
    case = Picture("uniforms_and_writes")
    case.vertices(ONE)
    case.do(
        "buffer 2", 64, case.file(np.array([0.5, 0.25, 1, 1, 0.1, 0.2, 0.3, 0], np.float32))
    ).do("buffer 15", 64 * 48 * 8)
    case.do("set 0", UNIFORM, 2, 0, STORAGE, 15, 0)
    case.pipeline(
        0,
        VERTEX.replace(
            "layout(location = 0) out",
            "layout(binding = 0) uniform U { vec4 scale; vec4 plus; }; layout(location = 0) out",
        ).replace("shade = colour", "shade = colour * scale"),
        fragment(
            "pixel = shade + plus; uint at = uint(gl_FragCoord.y) * 64u + uint(gl_FragCoord.x) + 3072u; words[at] = at * 3u; atomicAdd(words[6143], 1u);",
            "layout(binding = 0) uniform U { vec4 scale; vec4 plus; }; layout(std430, binding = 1) buffer W { uint words[]; };",
        ),
        which=0,
    )
    case.start()
    case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
    cases.append(case.finish())
    return cases
