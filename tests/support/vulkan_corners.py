"""What few programs do, and panvk offers: descriptors of nothing, many samples, types that are not the image's."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import (
    FRAGMENT,
    FULL,
    R8,
    R32I,
    RG8,
    RGBA8,
    RGBA16F,
    RGBA32F,
    RGBA32I,
    Picture,
    fragment,
    mesh,
)
from vulkan_script import IMAGE, SAMPLED, STORAGE, STORAGE_TEXEL, TEXEL, UNIFORM, Case

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


def corners() -> list[Case]:
    cases = [nothing(), typeless(R32I), typeless(RGBA32I)]
    for count in (4, 8, 16):
        cases += [samples(count), samples(count, RGBA16F)]
    return cases


def sparse_images(residency: bool) -> list[Case]:
    return [sparse(form, residency) for form in (R8, RG8, RGBA8, RGBA16F, RGBA32F)]
