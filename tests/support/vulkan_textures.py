"""Sampling, storage images and texel buffers."""

from __future__ import annotations

from collections.abc import Sequence

import astc_files
import numpy as np
from vulkan_pictures import (
    A1RGB5,
    A8,
    B10G11R11,
    BGRA8,
    D16,
    D32,
    FULL,
    R5G6B5,
    R8,
    R16F,
    R16UI,
    R32F,
    R32UI,
    RG8,
    RG16F,
    RG32F,
    RGB10A2,
    RGBA4,
    RGBA8,
    RGBA8I,
    RGBA8S,
    RGBA8UI,
    RGBA16,
    RGBA16F,
    RGBA32F,
    RGBA32UI,
    SIZES,
    SRGB8,
    Picture,
    fragment,
)
from vulkan_script import IMAGE, SAMPLED, STORAGE_TEXEL, TEXEL, Case


def textures() -> list[Case]:
    """Sampling into a 64 x 48 picture."""
    cases: list[Case] = []
    dice = np.random.default_rng(1)

    def textured(
        name: str,
        body: str,
        *,
        sampler: str = "1 1 1 0 0 0 0.0 0.0 16.0 1.0 -1 0 0",
        form: int = RGBA8,
        size: tuple[int, int, int] = (16, 12, 1),
        levels: int = 1,
        layers: int = 1,
        declare: str = "sampler2D",
        view: int = -1,
        flags: int = 0,
        kind: int | None = None,
        swizzle: Sequence[int] = (0, 0, 0, 0),
        inside: str = "",
        target: int = RGBA8,
    ) -> None:
        case = Picture(name, form=target)
        case.image(
            2,
            form,
            *size[:2],
            depth=size[2],
            levels=levels,
            layers=layers,
            view=view,
            flags=flags,
            kind=kind,
            swizzle=swizzle,
        )
        case.do("sampler 0", sampler)
        case.do("set 0", SAMPLED, 2, 0)
        case.pipeline(
            0,
            FULL,
            fragment(
                body,
                f"layout(binding = 0) uniform {declare} t; {inside}",
                "layout(location = 0) in vec2 at;",
            ),
            "topology 4",
            which=0,
            inputs="",
        )
        early = ["general 2"]
        for level in range(levels):
            w, h, d = (max(1, one >> level) for one in size)
            texel = SIZES.get(form, 4)
            data = dice.integers(0, 256, w * h * d * layers * texel, np.uint8)
            if form in (R32F, RGBA32F, RG32F):
                data = (
                    dice.uniform(0, 1, w * h * d * layers * texel // 4)
                    .astype(np.float32)
                    .view(np.uint8)
                )
            if form in (RGBA16F, R16F, RG16F):
                data = (
                    dice.uniform(0, 1, w * h * d * layers * texel // 2)
                    .astype(np.float16)
                    .view(np.uint8)
                )
            number = 3 + level
            case.do("buffer", number, data.nbytes, case.file(data))
            early.append(f"upload {number} 2 0 0 0 {level} 0 {layers} 0 0 0 {w} {h} {d}")
        case.early = [*early, "barrier"]
        case.start()
        case.do("use 0").do("draw 4 1 0 0")
        cases.append(case.finish())

    nearest, trilinear = (
        "0 0 0 {0} {0} {0} 0.0 0.0 16.0 1.0 -1 0 0",
        "1 1 1 {0} {0} {0} 0.0 0.0 16.0 1.0 -1 0 0",
    )
    for wrap in range(5):
        textured(
            f"nearest_wrap{wrap}",
            "pixel = texture(t, at * 3.0 - 1.0);",
            sampler=nearest.format(wrap).replace("-1 0 0", f"-1 {4 if wrap == 3 else 0} 0"),
        )
        textured(
            f"linear_wrap{wrap}",
            "pixel = texture(t, at * 3.0 - 1.0);",
            sampler=trilinear.format(wrap).replace("-1 0 0", f"-1 {2 if wrap == 3 else 0} 0"),
        )
    for form in (
        R8,
        RG8,
        BGRA8,
        SRGB8,
        RGB10A2,
        R16F,
        RGBA16F,
        R32F,
        RGBA32F,
        R5G6B5,
        B10G11R11,
        RGBA16,
        RGBA8S,
        RGBA4,
        A1RGB5,
        A8,
    ):
        textured(f"linear_format{form}", "pixel = abs(texture(t, at));", form=form)
    for form, kind in ((RGBA8UI, "u"), (R32UI, "u"), (RGBA8I, "i"), (RGBA32UI, "u"), (R16UI, "u")):
        textured(
            f"integer_format{form}",
            "pixel = vec4(texture(t, at) & 255) / 255.0;",
            form=form,
            declare=f"{kind}sampler2D",
            sampler=nearest.format(2),
        )
    textured("mipmaps", "pixel = texture(t, at * vec2(9.0, 7.0));", levels=4, size=(32, 24, 1))
    textured(
        "mipmaps_nearest",
        "pixel = texture(t, at * vec2(5.0, 3.0));",
        levels=4,
        size=(32, 24, 1),
        sampler="1 1 0 0 0 0 0.0 0.0 16.0 1.0 -1 0 0",
    )
    textured("lod_explicit", "pixel = textureLod(t, at, at.x * 3.0);", levels=4, size=(32, 24, 1))
    textured("lod_bias", "pixel = texture(t, at * 2.0, 1.25);", levels=4, size=(32, 24, 1))
    textured(
        "lod_clamped",
        "pixel = texture(t, at * 16.0);",
        levels=4,
        size=(32, 24, 1),
        sampler="1 1 1 0 0 0 0.0 0.5 1.75 1.0 -1 0 0",
    )
    textured(
        "gradient",
        "pixel = textureGrad(t, at, vec2(0.1, 0.0), vec2(0.0, 0.2));",
        levels=4,
        size=(32, 24, 1),
    )
    textured("texel_fetch", "pixel = texelFetch(t, ivec2(at * vec2(16.0, 12.0)), 0);")
    textured(
        "texel_fetch_any_level",
        "int l = int(at.x * 2.99); pixel = texelFetch(t, ivec2(at * vec2(16 >> l, 12 >> l)), l);",
        levels=3,
    )
    textured("texel_fetch_level", "pixel = texelFetch(t, ivec2(at * vec2(8.0, 6.0)), 1);", levels=3)
    textured("gather", "pixel = textureGather(t, at, 2);")
    textured(
        "offset",
        "pixel = textureOffset(t, at, ivec2(2, -1)) + texelFetchOffset(t, ivec2(3, 4), 0, ivec2(1, 1)) * 0.25;",
    )
    textured(
        "size_query",
        "pixel = vec4(textureSize(t, 1), textureQueryLevels(t), 7.0) / 32.0;",
        levels=3,
    )
    textured(
        "lod_query",
        "pixel = vec4(textureQueryLod(t, at * 5.0).xy / 4.0, 0.0, 1.0);",
        levels=4,
        size=(32, 24, 1),
    )
    textured(
        "array",
        "pixel = texture(t, vec3(at, at.x * 3.6));",
        layers=4,
        declare="sampler2DArray",
        view=5,
    )
    textured(
        "array_fetch",
        "pixel = texelFetch(t, ivec3(at * 12.0, at.y * 4.0), 0);",
        layers=4,
        declare="sampler2DArray",
        view=5,
    )
    textured(
        "volume", "pixel = texture(t, vec3(at, at.x * 0.7));", size=(8, 8, 4), declare="sampler3D"
    )
    textured(
        "volume_nearest",
        "pixel = texture(t, vec3(at, at.x * 0.7));",
        size=(8, 8, 4),
        declare="sampler3D",
        sampler=nearest.format(0),
    )
    textured(
        "line_texture",
        "pixel = texture(t, at.x * 1.5);",
        size=(16, 1, 1),
        declare="sampler1D",
        kind=0,
    )
    textured(
        "cube",
        "vec3 d = vec3(at * 2.0 - 1.0, at.x - at.y); pixel = texture(t, d);",
        size=(8, 8, 1),
        layers=6,
        declare="samplerCube",
        view=3,
        flags=16,
    )
    textured(
        "cube_nearest",
        "vec3 d = vec3(sin(at.x * 6.0), cos(at.y * 5.0), at.x - 0.3); pixel = texture(t, d);",
        size=(8, 8, 1),
        layers=6,
        declare="samplerCube",
        view=3,
        flags=16,
        sampler=nearest.format(2),
    )
    textured(
        "cube_gather",
        "vec3 d = vec3(at.x - 0.5, 0.6, at.y - 0.5); pixel = textureGather(t, d, 1);",
        size=(8, 8, 1),
        layers=6,
        declare="samplerCube",
        view=3,
        flags=16,
    )
    textured(
        "cube_lod",
        "vec3 d = vec3(at * 2.0 - 1.0, at.x - at.y); pixel = textureLod(t, d, 1.0);",
        size=(8, 8, 1),
        levels=3,
        layers=6,
        declare="samplerCube",
        view=3,
        flags=16,
    )
    textured(
        "cube_array",
        "vec3 d = vec3(at.x * 2.0 - 1.0, at.y * 1.93 - 1.0, 0.7); pixel = texture(t, vec4(d, at.x * 1.87));",
        size=(8, 8, 1),
        layers=12,
        declare="samplerCubeArray",
        view=6,
        flags=16,
        sampler=nearest.format(2),
    )
    textured("swizzled", "pixel = texture(t, at);", swizzle=(5, 3, 1, 2))
    textured("projective", "pixel = textureProj(t, vec3(at * 2.0, 1.5));")
    textured(
        "unnormalized",
        "pixel = textureLod(t, at * vec2(16.0, 12.0), 0.0);",
        sampler="1 1 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 1",
    )
    textured(
        "border",
        "pixel = texture(t, at * 2.0 - 0.5);",
        sampler="1 1 0 3 3 3 0.0 0.0 0.0 1.0 -1 4 0",
    )
    textured("magnified", "pixel = texture(t, at * 0.2 + 0.3);")
    textured(
        "minified_cut",
        "pixel = texture(t, at * 4.0);",
        sampler="1 0 0 0 0 0 0.0 0.0 0.0 1.0 -1 0 0",
    )
    textured(
        "divergent_lookup",
        "pixel = at.x > 0.5 ? textureLod(t, at, 0.0) : textureLod(t, at.yx, 1.0);",
        levels=3,
    )
    textured(
        "anisotropic",
        "pixel = texture(t, at * vec2(1.0, 9.0));",
        levels=4,
        size=(32, 24, 1),
        sampler="1 1 1 0 0 0 0.0 0.0 16.0 4.0 -1 0 0",
    )
    for name, zs, aspect in (("shadow", D32, 2), ("shadow16", D16, 2)):
        case = Picture(name, zs=0)
        case.image(2, zs, 16, 12, aspect=aspect, usage=3 | 4 | 32)
        case.do("sampler 0 1 1 0 2 2 2 0.0 0.0 0.0 1.0 3 0 0")
        case.do("set 0", SAMPLED, 2, 0)
        case.pipeline(
            0,
            FULL,
            fragment(
                "pixel = vec4(texture(t, vec3(at, 0.4)), textureGather(t, at, 0.5).xyz);",
                "layout(binding = 0) uniform sampler2DShadow t;",
                "layout(location = 0) in vec2 at;",
            ),
            "topology 4",
            which=0,
            inputs="",
        )
        depths = dice.uniform(0, 1, 192)
        case.vertices(
            (depths * 65535).astype(np.uint16) if zs == D16 else depths.astype(np.float32), 3
        )
        case.early = ["general 2", "upload 3 2 0 0 0 0 0 1 0 0 0 16 12 1 2", "barrier"]
        case.start()
        case.do("use 0").do("draw 4 1 0 0")
        cases.append(case.finish())
    return cases


def images() -> list[Case]:
    """Storage images and texel buffers in compute shaders."""
    cases: list[Case] = []
    head = "#version 450\n{extension}\nlayout(local_size_x = 8, local_size_y = 8) in;\n{declare}\nvoid main() {{ ivec2 p = ivec2(gl_GlobalInvocationID.xy); {body} }}"
    formats = (
        (RGBA8, "rgba8", "image2D", "vec4(p, 3.0, 4.0) / 32.0"),
        (R32UI, "r32ui", "uimage2D", "uvec4(p.x * 100 + p.y)"),
        (RGBA32F, "rgba32f", "image2D", "vec4(p, -1.0, 0.5)"),
        (RGBA16F, "rgba16f", "image2D", "vec4(p, -1.0, 0.5)"),
        (R32F, "r32f", "image2D", "vec4(p.x * 0.25)"),
        (RGBA8UI, "rgba8ui", "uimage2D", "uvec4(p, 7, 9)"),
        (RGBA32UI, "rgba32ui", "uimage2D", "uvec4(p, 7, 9)"),
        (RGBA8I, "rgba8i", "iimage2D", "ivec4(p.x, -p.y, 7, -9)"),
        (RG32F, "rg32f", "image2D", "vec4(p, 0, 0)"),
        (R16F, "r16f", "image2D", "vec4(p.x)"),
        (RGBA8S, "rgba8_snorm", "image2D", "vec4(p, -8, 4) / 16.0"),
        (RGBA16, "rgba16", "image2D", "vec4(p, 8, 4) / 16.0"),
    )
    for form, layout, kind, value in formats:
        case = Picture(f"store_{layout}", form=form, size=(24, 16))
        case.lines = case.lines[:1]
        case.image(0, form, 24, 16, usage=3 | 8)
        case.do("set 0", IMAGE, 0, 0)
        case.do(
            "compute 0 0 0",
            case.shader(
                "comp",
                head.format(
                    extension="",
                    declare=f"layout(binding = 0, {layout}) uniform {kind} m;",
                    body=f"imageStore(m, p, {value}); memoryBarrierImage(); barrier(); if ((p.x & 1) == 0) imageStore(m, p, imageLoad(m, p).{'yxwz' if form not in (R32UI, R32F, R16F) else 'xxxx'});",
                ),
            ),
        )
        case.do("begin").do("general 0").do("use 0").do("dispatch 3 2 1").do("barrier")
        cases.append(case.take())
    case = Picture("image_atomics", form=R32UI, size=(16, 16))
    case.lines = case.lines[:1]
    case.image(0, R32UI, 16, 16, usage=3 | 8)
    case.do("set 0", IMAGE, 0, 0)
    case.do(
        "compute 0 0 0",
        case.shader(
            "comp",
            head.format(
                extension="",
                declare="layout(binding = 0, r32ui) uniform uimage2D m;",
                body="imageAtomicAdd(m, p / 4, 1u); imageAtomicMax(m, ivec2(5, 5), uint(p.x)); imageAtomicXor(m, ivec2(6, 5), uint(p.y)); imageAtomicOr(m, ivec2(7, 5), 1u << p.x);",
            ),
        ),
    )
    case.do("begin").do("general 0").do("clear 0 0 1 0 1 3 0 0 0").do("barrier").do("use 0").do(
        "dispatch 2 2 1"
    ).do("barrier")
    cases.append(case.take())
    for name, kind, depth, layers, view in (
        ("volume", "image3D", 4, 1, 2),
        ("layers", "image2DArray", 1, 4, 5),
    ):
        case = Picture(f"store_{name}", form=RGBA8, size=(8, 8))
        case.lines = []
        case.do("buffer 15", 8 * 8 * 4 * 4)
        case.image(0, RGBA8, 8, 8, depth=depth, layers=layers, view=view, usage=3 | 8)
        case.do("set 0", IMAGE, 0, 0)
        case.do(
            "compute 0 0 0",
            case.shader(
                "comp",
                head.format(
                    extension="",
                    declare=f"layout(binding = 0, rgba8) uniform {kind} m;",
                    body="int z = int(gl_GlobalInvocationID.z); imageStore(m, ivec3(p, z), vec4(p, z, 8.0) / 16.0); ivec3 s = imageSize(m); if (p.x == 0) imageStore(m, ivec3(p, z), vec4(s, 1) / 16.0);",
                ),
            ),
        )
        case.do("begin").do("general 0").do("use 0").do("dispatch 1 1 4").do("barrier")
        case.do("download 15 0 0 0 0 0 0", layers, "0 0 0 8 8", depth).do("submit").save(15)
        cases.append(case)
    for form, layout, sampler, _ in (
        (RGBA8, "rgba8", "", "vec4"),
        (R32UI, "r32ui", "u", "uvec4"),
        (RGBA32F, "rgba32f", "", "vec4"),
        (R32F, "r32f", "", "vec4"),
    ):
        case = Case(f"texel_buffer_{layout}")
        texel = SIZES.get(form, 4)
        data = (
            np.random.default_rng(3).uniform(0, 1, 64 * texel // 4).astype(np.float32)
            if "f" in layout
            else np.random.default_rng(3).integers(0, 256, 64 * texel, np.uint8)
        )
        case.do("buffer 0", data.nbytes, case.file(data)).do("buffer 15", data.nbytes)
        case.do("bufferview 0 0", form).do("bufferview 15 15", form)
        case.do("set 0", TEXEL, 0, 0, STORAGE_TEXEL, 15, 0)
        case.do(
            "compute 0 0 0",
            case.shader(
                "comp",
                head.format(
                    extension="",
                    declare=f"layout(binding = 0) uniform {sampler}samplerBuffer s; layout(binding = 1, {layout}) uniform {sampler}imageBuffer m;",
                    body="int k = p.x + 8 * p.y; imageStore(m, k, texelFetch(s, (k * 5) % textureSize(s)));",
                ),
            ),
        )
        case.do("begin").do("use 0").do("dispatch 1 1 1").do("submit").save(15)
        cases.append(case)
    case = Case("texel_buffer_array", form=RGBA32F)
    data = np.random.default_rng(4).integers(0, 256, 256, np.uint8)
    case.do("buffer 0", data.nbytes, case.file(data)).do(
        "buffer 1", data.nbytes, case.file(data[::-1])
    )
    case.do("buffer 15", 1024).do("bufferview 0 0", RGBA8).do("bufferview 1 1", R32UI)
    case.do("set 0", TEXEL, 0, 0, TEXEL, 1, 0, 7, 15, 0)
    body = """#version 450
layout(local_size_x = 64) in; layout(binding = 0) uniform samplerBuffer a; layout(binding = 1) uniform usamplerBuffer b;
layout(binding = 2) buffer O { vec4 v[]; } o;
void main() { int k = int(gl_LocalInvocationIndex); uvec4 w = texelFetch(b, k ^ 5);
  o.v[k] = texelFetch(a, int(w.x % 64u)) + vec4(w & 255u); }
"""
    case.do("compute 0 0 0", case.shader("comp", body))
    case.do("begin").do("use 0").do("dispatch 1 1 1").do("submit").save(15)
    cases.append(case)
    case = Picture("sampled_in_compute", form=RGBA8, size=(24, 16))
    case.image(2, RGBA8, 16, 12, levels=3)
    case.do("image 0 1 37 24 16 1 1 1 1 11 0 0 1").do("view 0 0 1 37 1 0 1 0 1 0 0 0 0")
    case.do("sampler 0 1 1 1 0 0 0 0.0 0.0 16.0 1.0 -1 0 0").do("set 0", IMAGE, 0, 0, SAMPLED, 2, 0)
    case.do(
        "compute 0 0 0",
        case.shader(
            "comp",
            head.format(
                extension="",
                declare="layout(binding = 0, rgba8) uniform image2D m; layout(binding = 1) uniform sampler2D t;",
                body="imageStore(m, p, textureLod(t, vec2(p) / 20.0, 0.7) * 0.5 + texelFetch(t, p % 8, 1) * 0.5);",
            ),
        ),
    )
    case.do("begin").do("general 0").do("general 2")
    for level in range(3):
        w, h = 16 >> level, 12 >> level
        case.vertices(np.random.default_rng(level).integers(0, 256, w * h * 4, np.uint8), 3 + level)
        case.lines.insert(-2, case.lines.pop())
        case.do("upload", 3 + level, 2, 0, 0, 0, level, 0, 1, 0, 0, 0, w, h, 1)
    case.do("barrier").do("use 0").do("dispatch 3 2 1").do("barrier")
    cases.append(case.take())
    return cases


BC6HU, BC6HS, BC7, BC7_SRGB = 143, 144, 145, 146
#: Block-compressed formats that lavapipe has: VkFormat -> bytes of a block.
BLOCKS = {131: 8, 133: 8, 134: 8, 135: 16, 137: 16, 138: 16, 139: 8, 140: 8, 141: 16, 142: 16}
BLOCKS |= {BC6HU: 16, BC6HS: 16, BC7: 16, BC7_SRGB: 16}


def random_blocks(form: int, count: int, dice: np.random.Generator) -> np.ndarray:
    """(count, bytes) with all modes of BC7 equally often, whose number is that of the lowest bit set."""
    data = dice.integers(0, 256, (count, BLOCKS[form]), np.uint8)
    if form in (BC7, BC7_SRGB):
        lowest = np.arange(count) % 9
        data[:, 0] = (data[:, 0].astype(int) << lowest + 1 | 1 << lowest) & 255
    return data


def compressed() -> list[Case]:
    """Random blocks of BC1 to BC7, sampled at their texels; some filtered, one of levels and layers."""
    cases: list[Case] = []
    dice = np.random.default_rng(6)
    for form in BLOCKS:
        several = form == 135
        width, height, levels, layers = 40, 24, (3 if several else 1), (2 if several else 1)
        size, target = (2 * width, 2 * height), RGBA8
        if form >= BC6HU:
            width, height, target = 160, 96, RGBA32F if form in (BC6HU, BC6HS) else RGBA8
            size = (width, height)
        case = Picture(f"blocks{form}", size=size, form=target)
        case.image(2, form, width, height, usage=6, levels=levels, layers=layers)
        mode = "1 1" if form in (137, BC7_SRGB) else "0 0"
        case.do("sampler 0", mode, "0 2 2 2 0.0 0.0 16.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
        body = (
            "textureLod(t, vec3(at, at.x * 1.6), floor(at.y * 2.9))"
            if several
            else "texture(t, at)"
        )
        shader = fragment(
            f"pixel = {'' if form == BC6HS else 'abs'}({body});",
            f"layout(binding = 0) uniform sampler2D{'Array' if several else ''} t;",
            "layout(location = 0) in vec2 at;",
        )
        case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
        early = ["general 2"]
        for level in range(levels):
            w, h = width >> level, height >> level
            data = random_blocks(form, -(-w // 4) * -(-h // 4) * layers, dice)
            case.do("buffer", 3 + level, data.nbytes, case.file(data))
            early.append(f"upload {3 + level} 2 0 0 0 {level} 0 {layers} 0 0 0 {w} {h} 1")
        case.early = [*early, "barrier"]
        case.start()
        case.do("use 0").do("draw 4 1 0 0")
        cases.append(case.finish())
    return cases


def astc_case(
    size: tuple[int, int], profile: str, blocks: np.ndarray, narrow: bool = False
) -> Picture:
    """256 blocks of ASTC in 16 rows, each texel on a pixel; ``profile``: dl, ds or dh, as astcenc has them.

    ``narrow``: the view says that texels are of eight bits.
    """
    place = astc_files.SIZES.index(size)
    form = {"dl": 157 + 2 * place, "ds": 158 + 2 * place, "dh": 1000066000 + place}[profile]
    width, height = 16 * size[0], 16 * size[1]
    target = {"dl": RGBA8, "ds": SRGB8, "dh": RGBA16F}[profile]
    name = f"astc_{profile}{'_narrow' * narrow}_{size[0]}x{size[1]}"
    case = Picture(name, form=target, size=(width, height))
    case.image(2, form, width, height, usage=6)
    if narrow:
        case.lines[-1] += f" decode {RGBA8}"
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 16.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
    shader = fragment(
        "pixel = texture(t, at);",
        "layout(binding = 0) uniform sampler2D t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
    case.do("buffer 3", blocks.nbytes, case.file(blocks))
    case.early = ["general 2", f"upload 3 2 0 0 0 0 0 1 0 0 0 {width} {height} 1", "barrier"]
    case.start()
    case.do("use 0").do("draw 4 1 0 0")
    return case.finish()
