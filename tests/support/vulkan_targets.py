"""Blending and render targets of many formats."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import (
    A1RGB5,
    B10G11R11,
    BGRA8,
    D24S8,
    D32,
    FRAGMENT,
    INTEGERS,
    ONE,
    R5G6B5,
    R8,
    R8UI,
    R16F,
    R16UI,
    R32F,
    R32I,
    R32UI,
    RG8,
    RG8I,
    RG16,
    RG16F,
    RG32F,
    RG32UI,
    RGB10A2,
    RGBA4,
    RGBA8,
    RGBA8I,
    RGBA8S,
    RGBA8UI,
    RGBA16,
    RGBA16F,
    RGBA16I,
    RGBA16S,
    RGBA16UI,
    RGBA32F,
    RGBA32UI,
    SRGB8,
    VERTEX,
    Picture,
    mesh,
    simple,
)
from vulkan_script import Case


def blends() -> list[Case]:
    data = np.concatenate([mesh(3, 1), mesh(3, 4), mesh(3, 2), mesh(3, 7)])
    cases: list[Case] = []
    for factor in range(15):
        cases.append(
            simple(
                f"blend_source{factor}",
                data,
                settings=f"blend 1 {factor} {(factor + 4) % 15 if factor != 10 else 3} 0 {(factor + 7) % 15} {factor} 0 15 constants 0.2 0.4 0.6 0.8",
            )
        )
    for op in range(5):
        cases.append(simple(f"blend_op{op}", data, settings=f"blend 1 6 7 {op} 1 1 {op} 15"))
    for form in (
        RGBA16F,
        RGBA32F,
        RGB10A2,
        R16F,
        R8,
        BGRA8,
        SRGB8,
        R5G6B5,
        B10G11R11,
        RGBA16,
        RG8,
        RGBA4,
        A1RGB5,
        RGBA8S,
    ):
        cases.append(
            simple(f"blend_format{form}", data, settings="blend 1 6 7 0 1 7 0 15", form=form)
        )
    for mask in (0, 1, 6, 8, 14):
        cases.append(simple(f"write_mask{mask}", data, settings=f"blend 0 1 0 0 1 0 0 {mask}"))
    cases.append(simple("blend_masked", data, settings="blend 1 6 7 0 1 1 0 5"))
    for op in range(16):
        cases.append(
            simple(
                f"logic{op}",
                data,
                settings=f"logic {op}",
                form=RGBA8UI if op & 1 else RGBA8,
                shader=FRAGMENT
                if not op & 1
                else FRAGMENT.replace("out vec4 pixel", "out uvec4 pixel").replace(
                    "pixel = shade", "pixel = uvec4(shade * 255.0)"
                ),
            )
        )
    return cases


def targets() -> list[Case]:
    cases: list[Case] = []
    unsigned = FRAGMENT.replace("out vec4 pixel", "out uvec4 pixel").replace(
        "pixel = shade", "pixel = uvec4(shade * 200.0) + uvec4(gl_FragCoord.x)"
    )
    signed = unsigned.replace("uvec4", "ivec4").replace("* 200.0", "* 200.0 - 100.0")
    for form in (
        RGBA8,
        BGRA8,
        SRGB8,
        RGBA8UI,
        RGB10A2,
        R16F,
        RGBA16F,
        R32UI,
        R32F,
        RG32F,
        RGBA32F,
        R8,
        RG8,
        R5G6B5,
        B10G11R11,
        RGBA16,
        RG16F,
        RGBA32UI,
        RGBA8I,
        R16UI,
        RG16,
        R8UI,
        RG8I,
        RGBA8S,
        RGBA16S,
        RGBA16UI,
        RGBA16I,
        RGBA4,
        A1RGB5,
        RG32UI,
        R32I,
    ):
        shader = (
            (signed if form in (RGBA8I, RG8I, RGBA16I, R32I) else unsigned)
            if form in INTEGERS
            else FRAGMENT
        )
        cases.append(simple(f"target{form}", ONE, shader=shader, form=form))
    many = Picture("several_targets")
    many.vertices(ONE)
    many.image(2, RGBA16F, 64, 48)
    many.image(3, R32UI, 64, 48)
    shader = (
        "#version 450\nlayout(location = 0) in vec4 shade; layout(location = 0) out vec4 p; layout(location = 1) out vec4 q; layout(location = 2) out uint r;\n"
        "void main() { p = shade; q = shade.wzyx * 4.0; r = uint(gl_FragCoord.x) * 1000u; }"
    )
    many.pipeline(
        0, shader=shader, settings=f"colors 3 {RGBA8} {RGBA16F} {R32UI} blend 1 6 7 0 1 0 0 15"
    )
    many.early = ["general 2", "general 3"]
    many.start(extra="color 2 1 0 0.5 0.5 0.5 0.5 color 3 1 0 9 9 9 9")
    many.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0").do("end_rendering").do("barrier")
    many.lines[0] = f"buffer 15 {64 * 48 * 16}"
    many.do("download 15 2", 64 * 48 * 4, 0, 0, 0, 0, 1, 0, 0, 0, 64, 48, 1).do(
        "download 15 3", 64 * 48 * 12, 0, 0, 0, 0, 1, 0, 0, 0, 64, 48, 1
    )
    cases.append(many.take())
    for name, load in (("load", 0), ("clear", 1)):
        case = Picture(f"two_passes_{name}")
        case.vertices(mesh(6, 3))
        case.pipeline(0)
        case.start()
        case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0").do("end_rendering").do("barrier")
        case.render(load=load)
        case.do("use 0").do("vertices 0 0 0").do("draw 3 1 3 0")
        cases.append(case.finish())
    case = Picture("partial_area")
    case.vertices(ONE)
    case.pipeline(0)
    case.early = ["clear 0 0 1 0 1 0.5 0.0 1.0 1.0", "barrier"]
    case.do("begin").do("general 0").do(case.early[0]).do("barrier")
    case.do("rendering 9 6 33 29 1 color 0 1 0 0.25 0.5 0.125 0.75").do(
        "viewport 0 0 64 48 0 1"
    ).do("scissor 9 6 33 29").do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
    cases.append(case.finish())
    for name, rect, values in (
        ("color", "1 0 10 10 20 13", "0.5 0.25 1.0 0.125"),
        ("depth", "2 0 10 4 40 40", "0.6 0"),
        ("stencil", "4 0 5 5 40 20", "0.3 9"),
    ):
        case = Picture(f"clear_attachment_{name}", zs=D24S8)
        case.vertices(ONE)
        case.pipeline(
            0,
            settings="depth 1 1 stencil 0 0 0 4 255 255 9 0 0 0 4 255 255 9"
            if name == "stencil"
            else "depth 1 1",
        )
        case.start()
        if name == "color":
            case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
        case.do("clear_attachment", rect, values)
        if name != "color":
            case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
        cases.append(case.finish())
    return cases


_STAGE = """#version 450
#extension GL_EXT_multiview : enable
layout(location = 0) {0} in vec4 shade; layout(location = 0) out vec4 pixel;
void main() {{ {1} }}
"""
#: What a fragment shader may ask of its samples.
_OF_SAMPLES = {
    "number": ("", "pixel = vec4(shade.rgb, float(gl_SampleID) / 4.0);"),
    "mask_out": ("", "pixel = shade; gl_SampleMask[0] = 5;"),
    "centroid": ("centroid", "pixel = shade;"),
    "sample": ("sample", "pixel = shade;"),
    "places": ("", "pixel = vec4(gl_SamplePosition, fract(gl_FragCoord.xy));"),
    "mask_in": (
        "",
        "int m = gl_SampleMaskIn[0]; pixel = vec4(float(m) / 16.0, float(bitCount(m)) / 4.0, 0.0, 1.0);",
    ),
    "elsewhere": (
        "",
        "pixel = vec4(interpolateAtOffset(shade, vec2(0.25, -0.3)).xy, interpolateAtCentroid(shade).z, "
        "interpolateAtSample(shade, 2).w);",
    ),
}


def _multisampled(
    name: str, settings: str = "", shader: str = FRAGMENT, *, form: int = RGBA8, zs: int = 0
) -> Picture:
    """Ten triangles into an image of four samples a pixel, resolved."""
    case = Picture(name, form=form)
    case.image(2, form, *case.size, samples=4)
    case.do("begin").do("general 0").do("general 2")
    if zs:
        case.image(1, zs, *case.size, aspect=2, samples=4)
        case.zs, case.aspect = zs, 2
        case.do("general 1")
    data = mesh(30, 5)
    case.vertices(data)
    case.pipeline(0, shader=shader, settings=f"topology 3 samples 4 {settings}")
    parts = f"color 2 1 0 {case.clear_values()} resolve 2 0" + (" depth 1 1 0 1.0 0" if zs else "")
    case.do("rendering 0 0", *case.size, 1, parts)
    case.do("viewport 0 0", *case.size, 0, 1).do("scissor 0 0", *case.size)
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0")
    return case.finish()


def multisampled() -> list[Case]:
    cases: list[Case] = [
        _multisampled("samples"),
        _multisampled("samples_depth", "depth 1 1", zs=D32),
        _multisampled("samples_blend", "blend 1 6 7 0 1 7 0 15"),
        _multisampled("samples_masked", "mask 6"),
        _multisampled("samples_shaded", "shading 1.0"),
    ]
    for name, (qualifier, body) in _OF_SAMPLES.items():
        cases.append(_multisampled(f"samples_{name}", shader=_STAGE.format(qualifier, body)))
    for form in (RGBA16F, SRGB8, RGB10A2, R5G6B5):
        cases.append(_multisampled(f"samples_format{form}", form=form))
    return cases


_VIEWS = """#version 450
#extension GL_EXT_multiview : enable
layout(location = 0) in vec4 position; layout(location = 1) in vec4 colour; layout(location = 0) out vec4 shade;
void main() { float v = float(gl_ViewIndex); gl_Position = position + vec4(v * 0.25, 0.0, 0.0, 0.0);
  shade = colour + vec4(v * 0.2); }
"""


def layers() -> list[Case]:
    """Frames of several layers: without views, draws go to the first; with, to those of the mask."""
    cases: list[Case] = []
    by_view = _STAGE.format("", "pixel = shade; pixel.y *= float(gl_ViewIndex + 1) * 0.3;")
    for name, count, mask, vertex, shader in (
        ("layers", 3, 0, VERTEX, FRAGMENT),
        ("layers_many", 12, 0, VERTEX, FRAGMENT),
        ("views", 2, 3, _VIEWS, by_view),
        ("views_some", 4, 13, VERTEX, by_view),
        ("views_vertex", 3, 7, _VIEWS, FRAGMENT),
    ):
        case = Picture(name, layers=count)
        case.vertices(mesh(9, 3))
        case.pipeline(0, vertex, shader, f"topology 3 views {mask}")
        case.do("begin").do("general 0")
        case.do("rendering 0 0", *case.size, 1 if mask else count)
        case.lines[-1] += f" color 0 1 0 {case.clear_values()} views {mask}"
        case.do("viewport 0 0", *case.size, 0, 1).do("scissor 0 0", *case.size)
        case.do("use 0").do("vertices 0 0 0").do("draw 9 1 0 0").do("end_rendering").do("barrier")
        cases.append(case.take(0, layers=count))
    # One colour for eight targets, of which one is there.
    broadcast = """#version 450
layout(location = 0) in vec4 shade; layout(location = 0) out vec4 pixel[8];
void main() { for (int i = 0; i < 8; i++) pixel[i] = shade; }
"""
    case = Picture("broadcast")
    case.vertices(ONE)
    case.pipeline(0, shader=broadcast, settings="topology 3")
    case.start()
    case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
    cases.append(case.finish())
    return cases
