"""Every format that a driver offers, in every use: sampled, stored, drawn into, as a vertex attribute."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from vulkan_pictures import FULL, ONE, RGBA32F, RGBA32UI, Picture, fragment, mesh
from vulkan_script import IMAGE, SAMPLED, STORAGE_TEXEL, TEXEL, Case

HEADER = Path("/usr/include/vulkan/vulkan_core.h")
#: VkFormatFeatureFlagBits
SAMPLED_IMAGE, STORAGE_IMAGE, UNIFORM_TEXEL, STORAGE_TEXEL_BUFFER, VERTEX, COLOR = (
    1,
    2,
    8,
    16,
    64,
    128,
)


@dataclass(frozen=True)
class Form:
    """One VkFormat whose name says all of it, like R8G8_UNORM and A2B10G10R10_SINT_PACK32."""

    number: int
    name: str
    channels: str  # "RGBA" in any order
    widths: tuple[int, ...]
    kind: str

    @property
    def size(self) -> int:
        """Bytes of a texel."""
        return sum(self.widths) // 8

    @property
    def prefix(self) -> str:
        """Of GLSL's types."""
        return {"UINT": "u", "SINT": "i"}.get(self.kind, "")

    def random(self, count: int, dice: np.random.Generator) -> np.ndarray:
        """(count, size) bytes, without infinities and NaNs."""
        if self.kind == "SFLOAT":
            kind = np.float16 if self.widths[0] == 16 else np.float32
            values = dice.uniform(-2, 2, (count, len(self.widths))).astype(kind)
            return values.view(np.uint8)
        data = dice.integers(0, 256, (count, self.size), np.uint8)
        if self.kind == "UFLOAT":
            data.view("<u4")[:] &= 0xBFDFFBFF
        return data

    def numbers(self, data: bytes) -> np.ndarray:
        """Channels as integers in the order of their values."""
        if self.name.endswith(("PACK8", "PACK16", "PACK32")):
            words = np.frombuffer(data, f"<u{self.size}").astype(np.int64)
            parts, at = [], 0
            for width in reversed(self.widths):
                parts.append(words >> at & (1 << width) - 1)
                at += width
            return np.concatenate(parts)
        if self.kind == "SFLOAT":
            width = self.widths[0]
            raw = np.frombuffer(data, f"<i{width // 8}").astype(np.int64)
            magnitude = (raw & (1 << width - 1) - 1) >> (8 if width == 32 else 0)
            return np.where(raw < 0, -magnitude, magnitude)
        sign = "i" if self.kind in ("SNORM", "SINT", "SSCALED") else "u"
        return np.frombuffer(data, f"<{sign}{self.widths[0] // 8}").astype(np.int64)


@cache
def forms() -> dict[int, Form]:
    """Formats of one plane without depth and blocks, from the Vulkan header."""
    found = {}
    for name, number in re.findall(r"VK_FORMAT_(\w+) = (\d+),", HEADER.read_text()):
        match = re.fullmatch(r"((?:[RGBAE]\d+)+)_([A-Z]+)(?:_PACK\d+)?(?:_KHR)?", name)
        if match and "64" not in match[1]:
            parts = re.findall(r"([RGBAE])(\d+)", match[1])
            channels, widths = "".join(c for c, _ in parts), tuple(int(w) for _, w in parts)
            found[int(number)] = Form(int(number), name, channels, widths, match[2])
    return found


def question() -> Case:
    """Writes (optimal, buffer) features as two words for each of :func:`forms`."""
    return Case("formats").do("formats", "{out}", *forms())


def answer(data: bytes) -> dict[int, tuple[int, int]]:
    pairs = np.frombuffer(data, "<u4").reshape(-1, 2).tolist()
    return dict(zip(forms(), map(tuple, pairs), strict=True))


def output(form: Form) -> tuple[int, str, str]:
    """A render target that holds all values of a format, the type of its pixels and a conversion to it."""
    if form.prefix:
        return RGBA32UI, "uvec4", "uvec4"
    return RGBA32F, "vec4", ""


def sampled(form: Form) -> Case:
    target, pixel, convert = output(form)
    case = Picture(f"sampled_{form.name}", form=target, size=(32, 24))
    case.image(2, form.number, 32, 24, usage=6)
    case.do("sampler 0 0 0 0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0").do("set 0", SAMPLED, 2, 0)
    shader = fragment(
        f"pixel = {convert}(texture(t, at));",
        f"layout(binding = 0) uniform {form.prefix}sampler2D t;",
        "layout(location = 0) in vec2 at;",
    ).replace("out vec4 pixel", f"out {pixel} pixel")
    case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
    data = form.random(32 * 24, np.random.default_rng(form.number))
    case.do("buffer 3", data.nbytes, case.file(data))
    case.early = ["general 2", "upload 3 2 0 0 0 0 0 1 0 0 0 32 24 1", "barrier"]
    case.start()
    case.do("use 0").do("draw 4 1 0 0")
    return case.finish()


def drawn(form: Form) -> Case:
    """A triangle on a cleared image; what is compared is the image's memory."""
    case = Picture(f"drawn_{form.name}", form=form.number, size=(32, 24))
    case.lines[0] = f"buffer 15 {32 * 24 * form.size}"
    case.vertices(ONE)
    value = {"u": "uvec4(shade * 300.0)", "i": "ivec4(shade * 600.0 - 300.0)"}.get(
        form.prefix, "shade * 1.5 - 0.25"
    )
    shader = fragment(f"pixel = {value};").replace("out vec4", f"out {form.prefix}vec4")
    case.pipeline(0, shader=shader)
    case.start()
    if form.prefix:
        case.lines = [line.replace("0.25 0.5 0.125 0.75", "3 20 77 1") for line in case.lines]
    case.do("use 0").do("vertices 0 0 0").do("draw 3 1 0 0")
    return case.finish()


COMPUTE = """#version 450
#extension GL_EXT_shader_image_load_formatted : require
layout(local_size_x = 8, local_size_y = 8) in;
{declare}
void main() {{ ivec2 p = ivec2(gl_GlobalInvocationID.xy); {body} }}
"""


def stored(form: Form) -> Case:
    """Texels of a random image, moved by a shader that does not know the format."""
    case = Picture(f"stored_{form.name}", form=form.number, size=(32, 24))
    case.lines = [f"buffer 15 {32 * 24 * form.size}"]
    for image in (0, 2):
        case.image(image, form.number, 32, 24, usage=3 | 8)
    case.do("set 0", IMAGE, 0, 0, IMAGE, 2, 0)
    kind = f"{form.prefix}image2D"
    shader = COMPUTE.format(
        declare=f"layout(binding = 0) uniform writeonly {kind} to; layout(binding = 1) uniform readonly {kind} from;",
        body="imageStore(to, p, imageLoad(from, ivec2(31, 23) - p));",
    )
    case.do("compute 0 0 0", case.shader("comp", shader))
    data = form.random(32 * 24, np.random.default_rng(form.number))
    case.do("buffer 3", data.nbytes, case.file(data))
    case.do("begin").do("general 0").do("general 2")
    case.do("upload 3 2 0 0 0 0 0 1 0 0 0 32 24 1").do("barrier")
    case.do("use 0").do("dispatch 4 3 1").do("barrier")
    return case.take()


def texel_buffer(form: Form, *, store: bool) -> Case:
    """A texel buffer, read into a storage buffer; or copied into another."""
    case = Case(f"{'texels_stored' if store else 'texels'}_{form.name}")
    data = form.random(64, np.random.default_rng(form.number))
    case.do("buffer 0", data.nbytes, case.file(data)).do("bufferview 0 0", form.number)
    case.do("buffer 15", data.nbytes if store else 1024)
    kind = "uvec4" if form.prefix else "vec4"
    if store:
        case.do("bufferview 15 15", form.number).do("set 0", TEXEL, 0, 0, STORAGE_TEXEL, 15, 0)
        declare = f"layout(binding = 1) uniform writeonly {form.prefix}imageBuffer o;"
        body = "imageStore(o, k, texelFetch(s, 63 - k));"
    else:
        case.do("set 0", TEXEL, 0, 0, 7, 15, 0)
        declare = f"layout(binding = 1) buffer O {{ {kind} v[]; }} o;"
        body = f"o.v[k] = {kind}(texelFetch(s, 63 - k));"
    shader = COMPUTE.format(
        declare=f"layout(binding = 0) uniform {form.prefix}samplerBuffer s; {declare}",
        body=f"int k = p.x + 8 * p.y; {body}",
    )
    case.do("compute 0 0 0", case.shader("comp", shader))
    case.do("begin").do("use 0").do("dispatch 1 1 1").do("submit").save(15)
    return case


def attribute(form: Form) -> Case:
    """Colours of 24 points from vertices of the format."""
    target, pixel, convert = output(form)
    case = Picture(f"attribute_{form.name}", form=target, size=(32, 24))
    places = mesh(24, form.number)[:, :4].copy().view(np.uint8)
    values = form.random(24, np.random.default_rng(form.number))
    rows = np.zeros((24, 32), np.uint8)
    rows[:, :16], rows[:, 16 : 16 + form.size] = places, values
    case.vertices(rows)
    vertex = f"""#version 450
layout(location = 0) in vec4 position; layout(location = 1) in {form.prefix}vec4 value;
layout(location = 0) flat out {pixel} shade;
void main() {{ gl_Position = position; gl_PointSize = 1.0; shade = {convert}(value); }}
"""
    shader = fragment("pixel = shade;", inputs=f"layout(location = 0) flat in {pixel} shade;")
    shader = shader.replace("out vec4 pixel", f"out {pixel} pixel")
    inputs = f"binding 0 32 0 attribute 0 0 {RGBA32F} 0 attribute 1 0 {form.number} 16"
    case.pipeline(0, vertex, shader, "topology 0", inputs=inputs)
    case.start()
    case.do("use 0").do("vertices 0 0 0").do("draw 24 1 0 0")
    return case.finish()


#: What lavapipe hands to vertex shaders as it is, unconverted.
RAW_ATTRIBUTES = ("PACK16", "E5B9G9R9_UFLOAT_PACK32")


def cases(features: dict[int, tuple[int, int]]) -> dict[str, tuple[Form, Case]]:
    """A case for each use that a driver offers."""
    found: list[tuple[Form, Case]] = []
    for number, form in forms().items():
        optimal, buffer = features[number]
        if optimal & SAMPLED_IMAGE:
            found.append((form, sampled(form)))
        if optimal & COLOR:
            found.append((form, drawn(form)))
        if optimal & STORAGE_IMAGE:
            found.append((form, stored(form)))
        if buffer & UNIFORM_TEXEL:
            found.append((form, texel_buffer(form, store=False)))
        if buffer & UNIFORM_TEXEL and buffer & STORAGE_TEXEL_BUFFER:
            found.append((form, texel_buffer(form, store=True)))
        if buffer & VERTEX:
            found.append((form, attribute(form)))
    return {case.name: (form, case) for form, case in found}


def verdict(form: Form, name: str, ours: bytes, theirs: bytes) -> str:
    """Empty when the case is right."""
    if name.startswith(("drawn", "stored", "texels_stored")):
        a, b = form.numbers(ours), form.numbers(theirs)
        far: float = int(name.startswith("drawn"))
    elif form.prefix:
        a, b, far = np.frombuffer(ours, "<i4").astype(np.int64), np.frombuffer(theirs, "<i4"), 0
    else:
        a, b = np.frombuffer(ours, "<f4").astype(np.float64), np.frombuffer(theirs, "<f4")
        # lavapipe has a table for sRGB, and samples these formats with eight bits.
        eight = form.kind == "SRGB" or (name.startswith("sampled") and max(form.widths) < 8)
        far = 1 / 255 if eight else 4e-5 * max(1, np.abs(b).max())
    apart = np.abs(a - b)
    if (name.startswith("attribute") and form.name.endswith(RAW_ATTRIBUTES)) or apart.max() <= far:
        return ""
    where = int(apart.argmax())
    return f"number {where} of {len(a)} is {a[where]}, not {b[where]}"
