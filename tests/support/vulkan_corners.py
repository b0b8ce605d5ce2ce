"""What few programs do, and panvk offers: descriptors of nothing, many samples, types that are not the image's."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import (
    D16,
    D24S8,
    D32,
    D32S8,
    FRAGMENT,
    FULL,
    R8,
    R32I,
    RG8,
    RG32UI,
    RGBA8,
    RGBA16F,
    RGBA32F,
    RGBA32I,
    RGBA32UI,
    S8,
    Picture,
    fragment,
    mesh,
    simple,
)
from vulkan_script import IMAGE, INPUT, SAMPLED, STORAGE, STORAGE_TEXEL, TEXEL, UNIFORM, Case
from vulkan_textures import BC7, BLOCKS, random_blocks

NOTHING = 9  # a number that no object has


def nothing() -> Case:
    """Reads of null descriptors give zeros, writes do nothing."""
    case = Case("null_descriptors")
    case.do("buffer 15", 256).do("sampler 0 1 1 1 0 0 0 0.0 0.0 16.0 1.0 -1 0 0")
    kinds = (SAMPLED, IMAGE, TEXEL, STORAGE_TEXEL, UNIFORM, STORAGE)
    case.do("set 0", STORAGE, 15, 0, *(word for kind in kinds for word in (kind, NOTHING, 0)))
    shader = """#version 450
layout(local_size_x = 4) in;
layout(binding = 0) buffer O { vec4 o[]; };
layout(binding = 1) uniform sampler2D t;
layout(binding = 2, rgba8) uniform image2D m;
layout(binding = 3) uniform samplerBuffer s;
layout(binding = 4, rgba8) uniform imageBuffer b;
layout(binding = 5) uniform U { vec4 u[4]; };
layout(binding = 6) buffer S { vec4 v[]; };
void main() {
  uint k = gl_LocalInvocationIndex; ivec2 p = ivec2(k);
  imageStore(m, p, vec4(1.0)); imageStore(b, int(k), vec4(1.0)); v[k] = vec4(1.0);
  vec4 x = textureLod(t, vec2(0.3 * float(k)), 0.0) + texelFetch(t, p, 0) + imageLoad(m, p) + imageLoad(b, int(k));
  o[k] = vec4(x.rgb + texelFetch(s, int(k)).rgb + u[k & 3u].rgb + v[k].rgb, float(k) + 1.0);
}
"""
    case.do("compute 0 0 0", case.shader("comp", shader))
    return case.do("begin").do("use 0").do("dispatch 1 1 1").do("submit").save(15)


def samples(count: int, form: int = RGBA8) -> Case:
    """Triangles of ``count`` samples a pixel: resolved on the left, one sample each read on the right."""
    case = Picture(f"samples{count}_{form}", form=form)
    case.image(2, form, *case.size, samples=count, usage=3 | 4 | 16)
    case.vertices(mesh(30, 5))
    case.pipeline(0, shader=FRAGMENT, settings=f"topology 3 samples {count}")
    case.do("set 0", SAMPLED, 2, 0)
    case.lines.insert(-1, "sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0")
    shader = fragment(
        f"ivec2 p = ivec2(gl_FragCoord.xy); pixel = texelFetch(t, p, p.y % {count});",
        "layout(binding = 0) uniform sampler2DMS t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(1, FULL, shader, "topology 4", which=0, inputs="")
    case.do("begin").do("general 0").do("general 2")
    width, height = case.size
    case.do("rendering 0 0", width, height, 1, f"color 2 1 0 {case.clear_values()} resolve 2 0")
    case.do("viewport 0 0", width, height, 0, 1).do("scissor 0 0", width, height)
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0").do("end_rendering").do("barrier")
    case.render(load=0)
    case.do("scissor", width // 2, 0, width // 2, height)
    case.do("use 1").do("draw 4 1 0 0")
    return case.finish()


def typeless(form: int) -> Case:
    """Shaders of floats copy integers bit by bit, as Gallium's blitter does."""
    case = Picture(f"typeless{form}", form=form, size=(16, 12))
    case.lines[0] = "buffer 15 3072"
    case.image(2, form, 16, 12, usage=6)
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
    shader = fragment(
        "pixel = texelFetch(t, ivec2(gl_FragCoord.xy), 0);",
        "layout(binding = 0) uniform sampler2D t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
    size = 4 if form == R32I else 16
    data = np.random.default_rng(form).integers(0, 256, 192 * size, np.uint8)
    case.do("buffer 3", data.nbytes, case.file(data))
    case.early = ["general 2", "upload 3 2 0 0 0 0 0 1 0 0 0 16 12 1", "barrier"]
    case.start()
    case.do("use 0").do("draw 4 1 0 0")
    return case.finish()


def clocks() -> Case:
    """Both clocks of a shader run, and forwards."""
    case = Case("clocks")
    case.do("buffer 15 64").do("set 0", STORAGE, 15, 0)
    shader = """#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_ARB_shader_clock : require
#extension GL_EXT_shader_realtime_clock : require
layout(local_size_x = 16) in;
layout(binding = 0) buffer O { uint o[]; };
void main() {
  uint64_t a = clockARB(), b = clockRealtimeEXT();
  memoryBarrierBuffer(); barrier();
  uint64_t c = clockARB(), d = clockRealtimeEXT();
  o[gl_LocalInvocationIndex] = uint(a != 0 && c >= a) | uint(b != 0 && d >= b) << 1;
}
"""
    case.do("compute 0 0 0", case.shader("comp", shader))
    return case.do("begin").do("use 0").do("dispatch 1 1 1").do("submit").save(15)


DEPTH, STENCIL = 2, 4  # aspects


def read_zs(form: int, read: int, samples: int = 1) -> Case:
    """Triangles write depth and count stencil down from 5; a shader reads one of them, of sample 0."""
    case = Picture(f"read_zs{form}_{read}_{samples}")
    aspect = {D16: DEPTH, D32: DEPTH, S8: STENCIL}.get(form, DEPTH | STENCIL)
    case.image(2, form, 64, 48, aspect=aspect, usage=3 | 4 | 32, samples=samples)
    case.image(4, RGBA8, 64, 48, samples=samples, usage=3 | 16)
    case.do("view 3 2 1", form, read, "0 1 0 1 0 0 0 0")
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0").do("set 0", SAMPLED, 3, 0)
    case.vertices(mesh(30, 5))
    settings = f"topology 3 samples {samples}"
    parts = f"color {4 if samples > 1 else 0} 1 0 0.0 0.0 0.0 0.0"
    if aspect & DEPTH:
        settings += " depth 1 1"
        parts += " depth 2 1 0 1.0 5"
    if aspect & STENCIL:
        settings += " stencil 7 3 3 3 255 255 77 7 3 3 3 255 255 77"
        parts += " stencil 2 1 0 1.0 5"
    case.zs, case.aspect = form, aspect
    case.pipeline(0, settings=settings)
    case.zs = 0
    kind = f"{'u' if read == STENCIL else ''}sampler2D{'MS' if samples > 1 else ''}"
    scale = " / 16.0" if read == STENCIL else ""
    shader = fragment(
        f"pixel = vec4(vec3(texelFetch(t, ivec2(gl_FragCoord.xy), 0).x){scale}, 1.0);",
        f"layout(binding = 0) uniform {kind} t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(1, FULL, shader, "topology 4", which=0, inputs="")
    case.do("begin").do("general 0").do("general 2").do("general 4")
    case.do("rendering 0 0 64 48 1", parts).do("viewport 0 0 64 48 0 1").do("scissor 0 0 64 48")
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0").do("end_rendering").do("barrier")
    case.render(load=0)
    case.do("use 1").do("draw 4 1 0 0")
    return case.finish()


def block_views(form: int, texel: int) -> Case:
    """Blocks of a compressed image as texels of another format, of as many bytes."""
    case = Picture(f"block_view{form}", form=texel, size=(40, 24))
    case.lines[0] = f"buffer 15 {40 * 24 * BLOCKS[form]}"
    case.image(2, form, 160, 96, usage=6, flags=8 | 0x80 | 0x100)
    case.lines[-1] = f"view 2 2 1 {texel} 1 0 1 0 1 0 0 0 0"
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
    shader = fragment(
        "pixel = texelFetch(t, ivec2(gl_FragCoord.xy), 0);",
        "layout(binding = 0) uniform usampler2D t;",
        "layout(location = 0) in vec2 at;",
    ).replace("out vec4", "out uvec4")
    case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
    data = random_blocks(form, 40 * 24, np.random.default_rng(form))
    case.do("buffer 3", data.nbytes, case.file(data))
    case.early = ["general 2", "upload 3 2 0 0 0 0 0 1 0 0 0 160 96 1", "barrier"]
    case.start()
    case.do("use 0").do("draw 4 1 0 0")
    return case.finish()


def slices() -> Case:
    """One slice of a volume, drawn into and sampled as an image of two dimensions."""
    case = Picture("slice_of_volume", size=(64, 48))
    case.image(2, RGBA8, 64, 48, depth=4, usage=3 | 4 | 16, flags=0x20 | 0x20000)
    case.lines[-1] = f"view 2 2 1 {RGBA8} 1 0 1 2 1 0 0 0 0"
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
    case.vertices(mesh(30, 5))
    case.pipeline(0, settings="topology 3")
    shader = fragment(
        "pixel = texture(t, at).bgra;",
        "layout(binding = 0) uniform sampler2D t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(1, FULL, shader, "topology 4", which=0, inputs="")
    case.do("begin").do("general 0").do("general 2")
    case.do("rendering 0 0 64 48 1 color 2 1 0", case.clear_values())
    case.do("viewport 0 0 64 48 0 1").do("scissor 0 0 64 48")
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0").do("end_rendering").do("barrier")
    case.render(load=0)
    case.do("use 1").do("draw 4 1 0 0")
    return case.finish()


def local_read(form: int) -> Case:
    """A pass whose second draw reads, pixel by pixel, what the first drew."""
    case = Picture(f"local_read{form}", form=form, size=(64, 48))
    case.lines = case.lines[:1]
    case.image(0, form, 64, 48, usage=3 | 16 | 128)
    case.do("set 0", INPUT, 0, 0)
    case.vertices(mesh(30, 5))
    case.pipeline(0, settings="topology 3")
    shader = fragment(
        "pixel = subpassLoad(before).gbra * 0.5 + at.xyxy * 0.25;",
        "layout(input_attachment_index = 0, binding = 0) uniform subpassInput before;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(1, FULL, shader, "topology 4", which=0, inputs="")
    case.start()
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0").do("barrier")
    case.do("use 1").do("draw 4 1 0 0")
    return case.finish()


def sparse(form: int, residency: bool) -> Case:
    """Triangles drawn into an image of sparse residency, whose right quarter has no memory; the upper half of the
    picture is copied from it, the lower read by a shader.  Without ``residency`` the image is one like others."""
    width, height = 320, 192
    case = Picture(f"sparse{form}", form=form, size=(width, height))
    case.image(2, form, 512, 256, usage=3 | 4 | 16, flags=3 if residency else 0)
    if residency:
        case.lines.insert(-1, "sparse 2 0 0 384 256")
    case.do("set 0", SAMPLED, 2, 0)
    case.lines.insert(-1, "sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0")
    case.vertices(mesh(30, 5))
    case.pipeline(0, shader=FRAGMENT, settings="topology 3")
    shader = fragment(
        "pixel = texelFetch(t, ivec2(gl_FragCoord.xy), 0);",
        "layout(binding = 0) uniform sampler2D t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(1, FULL, shader, "topology 4", which=0, inputs="")
    case.do("begin").do("general 0").do("general 2")
    case.do("rendering 0 0", width, height, 1, f"color 2 1 0 {case.clear_values()}")
    case.do("viewport 0 0", width, height, 0, 1).do("scissor 0 0", width, height)
    case.do("use 0").do("vertices 0 0 0").do("draw 30 1 0 0").do("end_rendering").do("barrier")
    case.do("copy 2 0 0 1 0 0 0 0 0 0 1 0 0 0", width, height // 2, 1).do("barrier")
    case.render(load=0)
    case.do("scissor", 0, height // 2, width, height // 2)
    case.do("use 1").do("draw 4 1 0 0")
    return case.finish()


DEMOTE = """#version 450
#extension GL_EXT_demote_to_helper_invocation : require
layout(location = 0) in vec4 shade; layout(location = 0) out vec4 pixel;
void main() { if (shade.x > 0.5) demote; pixel = 0.5 + dFdy(shade) + dFdx(shade) * 0.5; }
"""


def corners() -> list[Case]:
    cases = [nothing(), clocks(), typeless(R32I), typeless(RGBA32I)]
    for count in (4, 8, 16):
        cases += [samples(count), samples(count, RGBA16F)]
    cases += [block_views(131, RG32UI), block_views(BC7, RGBA32UI), slices()]
    cases += [local_read(RGBA8), local_read(RGBA16F)]
    cases += [simple("demote", mesh(9, 5), shader=DEMOTE)]
    cases += [read_zs(form, DEPTH) for form in (D16, D32, D24S8, D32S8)]
    cases += [read_zs(form, STENCIL) for form in (S8, D24S8, D32S8)]
    cases += [read_zs(D32, DEPTH, 4), read_zs(S8, STENCIL, 4), read_zs(D24S8, STENCIL, 8)]
    return cases


def sparse_images(residency: bool) -> list[Case]:
    return [sparse(form, residency) for form in (R8, RG8, RGBA8, RGBA16F, RGBA32F)]
