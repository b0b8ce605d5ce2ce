"""Copies, blits, clears, queries, indirect work and secondary command buffers."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import (
    B10G11R11,
    BGRA8,
    D16,
    D24S8,
    D32,
    INTEGERS,
    R5G6B5,
    R8,
    R32UI,
    RG8,
    RGB10A2,
    RGBA8,
    RGBA16,
    RGBA16F,
    RGBA32F,
    SIZES,
    SRGB8,
    Picture,
    mesh,
)
from vulkan_script import STORAGE, Case


def transfers() -> list[Case]:
    cases: list[Case] = []
    dice = np.random.default_rng(2)

    def start(
        name: str,
        form: int = RGBA8,
        size: tuple[int, int] = (32, 24),
        source: tuple[int, int, int] = (16, 12, 1),
        source_form: int = 0,
        **more: int,
    ) -> Picture:
        case = Picture(name, form=form, size=size)
        source_form = source_form or form
        case.image(2, source_form, *source[:2], depth=source[2], **more)
        data = dice.integers(
            0,
            256,
            int(np.prod(source)) * more.get("layers", 1) * SIZES.get(source_form, 4),
            np.uint8,
        )
        case.vertices(data, 3)
        case.do("begin").do("general 0").do("general 2").do(
            "upload 3 2 0 0 0 0 0", more.get("layers", 1), "0 0 0", *source
        ).do("barrier")
        return case

    for form in (RGBA8, R8, RG8, RGBA16F, RGBA32F, R32UI, R5G6B5, RGBA16):
        case = start(f"copy_image{form}", form)
        case.do("clear 0 0 1 0 1", "9 9 9 9" if form in INTEGERS else "0.5 0.5 0.5 0.5").do(
            "barrier"
        )
        case.do("copy 2 0 0 1 3 2 0 0 0 0 1 7 5 0 9 8 1").do("barrier")
        cases.append(case.take())
    for filter_ in (0, 1):
        for name, where in (
            ("up", "0 0 0 16 12 1 0 0 0 1 0 0 0 32 24 1"),
            ("down", "0 0 0 16 12 1 0 0 0 1 2 2 0 9 8 1"),
            ("flip", "16 0 0 0 12 1 0 0 0 1 0 24 0 32 0 1"),
        ):
            case = start(f"blit_{name}{filter_}")
            case.do("clear 0 0 1 0 1 0.5 0.5 0.5 0.5").do("barrier").do(
                "blit 2 0 0 1", where, filter_
            ).do("barrier")
            cases.append(case.take())
    case = start("blit_format", BGRA8, source_form=RGBA16F)
    case.do("blit 2 0 0 1 0 0 0 16 12 1 0 0 0 1 0 0 0 32 24 1 0").do("barrier")
    cases.append(case.take())
    case = start("mip_chain", size=(4, 3), source=(16, 12, 1), levels=3)
    case.do("blit 2 0 0 1 0 0 0 16 12 1 2 1 0 1 0 0 0 8 6 1 1").do("barrier").do(
        "blit 2 1 0 1 0 0 0 8 6 1 2 2 0 1 0 0 0 4 3 1 1"
    ).do("barrier")
    cases.append(case.take(2, level=2))
    for form, value in (
        (RGBA8, "0.1 0.2 0.3 0.4"),
        (RGBA16F, "1.5 -2.5 0.25 9.0"),
        (R32UI, "77 0 0 0"),
        (RGBA32F, "1.0 2.0 3.0 4.0"),
        (RGB10A2, "0.1 0.5 0.9 1.0"),
        (SRGB8, "0.1 0.5 0.9 0.5"),
        (B10G11R11, "0.1 0.5 0.9 0.5"),
        (R8, "0.7 0.0 0.0 0.0"),
    ):
        case = Picture(f"clear_image{form}", form=form)
        cases.append(
            case.do("begin").do("general 0").do("clear 0 0 1 0 1", value).do("barrier").take()
        )  # type: ignore[attr-defined]
    for zs, aspect in ((D32, 2), (D16, 2), (D24S8, 2), (D24S8, 4)):
        case = Picture(f"clear_depth{zs}_{aspect}", zs=zs)
        cases.append(
            case.do("begin")
            .do("general 1")
            .do("clear 1 0 1 0 1 0.3 77")
            .do("barrier")
            .take(1, aspect=aspect)
        )  # type: ignore[attr-defined]
    case = Picture("clear_layers", size=(8, 8))
    case.image(2, RGBA8, 8, 8, layers=4, levels=2)
    case.lines[0] = "buffer 15 1024"
    case.do("begin").do("general 2").do("clear 2 0 2 0 4 1.0 0.5 0.0 1.0").do("barrier").do(
        "clear 2 0 1 2 1 0.0 0.0 1.0 1.0"
    ).do("barrier")
    cases.append(case.take(2, layers=4))
    case = Case("buffer_offsets")
    case.do("buffer 0 256", case.file(np.arange(64, dtype=np.uint32))).do("buffer 15 256").do(
        "begin"
    ).do("fill 15 0 256 7").do("barrier").do("copy_buffer 0 15 4 12 100").do("barrier")
    cases.append(
        case.do("fill 15 128 64 9")
        .do("barrier")
        .do("update 15 252 1234")
        .do("copy_buffer 0 15 200 201 3")
        .do("submit")
        .save(15)
    )
    case = Picture("linear_image", size=(20, 12))
    case.do("image 2 1 37 20 12 1 1 1 1 3 0 1 1")
    case.vertices(dice.integers(0, 256, 20 * 12 * 4, np.uint8), 3)
    case.do("begin").do("general 0").do("general 2").do("upload 3 2 0 0 0 0 0 1 0 0 0 20 12 1").do(
        "barrier"
    ).do("copy 2 0 0 1 0 0 0 0 0 0 1 0 0 0 20 12 1").do("barrier")
    cases.append(case.take())
    case = start("partial_download", size=(32, 24), source=(32, 24, 1))
    case.do("download 15 2 64 40 0 0 0 1 5 3 0 17 9 1")
    cases.append(case.do("submit").save(15))
    case = start("copy_volume", source=(8, 8, 4), size=(8, 8))
    case.lines[0] = "buffer 15 1024"
    cases.append(case.do("download 15 2 0 0 0 0 0 1 0 0 0 8 8 4").do("submit").save(15))
    return cases


def commands() -> list[Case]:
    """Queries, events, indirect work, secondary command buffers, push constants and specialisation in compute."""
    cases: list[Case] = []
    for name, flags in (("precise", 1), ("any", 0)):
        case = Picture(f"occlusion_{name}", zs=D32)
        case.vertices(mesh(12, 3))
        case.pipeline(0, settings="depth 1 1")
        case.do("query 0 0 3").do("begin").do("general 0").do("general 1").do(
            "reset_query 0 0 3"
        ).do("barrier")
        case.render()
        case.do("use 0").do("vertices 0 0 0").do("begin_query 0 0", flags).do("draw 3 1 0 0").do(
            "end_query 0 0"
        ).do("begin_query 0 1", flags).do("draw 9 1 3 0").do("end_query 0 1")
        case.do("begin_query 0 2", flags).do("scissor 0 0 0 0").do("draw 9 1 3 0").do(
            "end_query 0 2"
        ).do("end_rendering").do("barrier")
        case.do("fill 15 0 256 0").do("barrier").do("copy_query 0 0 3 15 0 8", 3).do("submit")
        cases.append(case.save(15))
    case = Case("timestamps")
    case.do("buffer 15 64").do("query 0 2 2").do("begin").do("reset_query 0 0 2").do(
        "timestamp 0 0"
    ).do("fill 15 32 4 5").do("barrier").do("timestamp 0 1").do("submit").do("query_to 0 0 2 15", 3)
    cases.append(case.save(15))
    case = Case("event")
    cases.append(
        case.do("buffer 0 64")
        .do("buffer 15 64")
        .do("event 0")
        .do("begin")
        .do("fill 0 0 64 17")
        .do("set_event 0")
        .do("wait_event 0")
        .do("copy_buffer 0 15 0 0 64")
        .do("submit")
        .save(15)
    )
    body = (
        "#version 450\nlayout(local_size_x_id = 0, local_size_y = 1) in; layout(constant_id = 1) const uint plus = 3; layout(constant_id = 2) const bool twice = false;\n"
        "layout(std430, binding = 0) buffer B { uint b[]; }; layout(push_constant) uniform P { uint first; uint step; };\n"
        "void main() { uint i = gl_GlobalInvocationID.x; b[i] = (first + i * step + plus) * (twice ? 2u : 1u) + 1000u * gl_NumWorkGroups.x; }"
    )
    for name, run in (("plain", "dispatch 4 1 1"), ("indirect", "dispatch_indirect 2 4")):
        case = Case(f"constants_{name}")
        case.do("buffer 15 256").do("buffer 2 16", case.file(np.array([9, 3, 1, 1], np.uint32))).do(
            "set 0", STORAGE, 15, 0
        )
        cases.append(
            case.do("compute 0 0 8", case.shader("comp", body), "0 16 1 5 2 1")
            .do("begin")
            .do("use 0")
            .do("push 100 7")
            .do(run)
            .do("submit")
            .save(15)
        )
    case = Case("device_address")
    case.do("buffer 2 256", case.file(np.arange(64, dtype=np.uint32))).do("buffer 15 256").do(
        "compute 0 -1 16",
        case.shader(
            "comp",
            "#version 450\n#extension GL_EXT_buffer_reference : require\nlayout(local_size_x = 64) in; "
            "layout(buffer_reference, std430) buffer W { uint v[]; }; layout(push_constant) uniform P { W from; W to; }; void main() { uint i = gl_GlobalInvocationID.x; to.v[i] = from.v[63u - i] * 3u; }",
        ),
    )
    cases.append(
        case.do("begin").do("use 0").do("push @2 @15").do("dispatch 1 1 1").do("submit").save(15)
    )
    data = mesh(12, 8)
    arguments = np.array([3, 1, 0, 0, 6, 1, 3, 0, 3, 1, 9, 0], np.uint32)
    indexed = np.array([3, 1, 0, 1, 0, 6, 1, 0, 3, 0], np.uint32)
    for name, words, line in (
        ("draw", arguments, "draw_indirect 2 0 1 16;draw_indirect 2 16 1 16"),
        ("indexed", indexed, "draw_indexed_indirect 2 20 1 20"),
    ):
        case = Picture(f"indirect_{name}")
        case.vertices(data)
        case.vertices(np.array([0, 1, 2, 5, 4, 3], np.uint16), 1)
        case.vertices(words, 2)
        case.pipeline(0)
        case.start()
        case.do("use 0").do("vertices 0 0 0").do("indices 1 0 0")
        for each in line.split(";"):
            case.do(each)
        cases.append(case.finish())
    case = Picture("secondary")
    case.vertices(mesh(6, 3))
    case.pipeline(0)
    case.do("begin").do("general 0").do("secondary 0", RGBA8).do("use 0").do("vertices 0 0 0").do(
        "viewport 0 0 64 48 0 1"
    ).do("scissor 0 0 64 48").do("draw 6 1 0 0").do("primary")
    case.do("rendering 0 0 64 48 1 color 0 1 0 0.25 0.5 0.125 0.75 secondary").do("execute 0")
    cases.append(case.finish())
    case = Picture("many_commands", size=(128, 96))
    case.vertices(mesh(300, 5))
    case.pipeline(0, settings="blend 1 6 7 0 1 1 0 15")
    case.start()
    case.do("use 0").do("vertices 0 0 0")
    for first in range(0, 300, 6):
        case.do("draw 6 1", first, 0)
    cases.append(case.finish())
    case = Picture("many_passes")
    case.vertices(mesh(60, 5))
    case.pipeline(0)
    case.start()
    for first in range(0, 60, 6):
        case.do("use 0").do("vertices 0 0 0").do("draw 6 1", first, 0).do("end_rendering").do(
            "barrier"
        )
        case.render(load=0)
    cases.append(case.finish())
    return cases
