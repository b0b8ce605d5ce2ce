"""Graphics programs of many kinds for the script client, each a few dozen lines of script.

Buffers: 0 vertices, 1 indices, 2 to 7 the case's own, 15 what is compared.  Images and views: 0 colour, 1 depth and
stencil, 2 and more the case's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vulkan_script import Case

RGBA8, BGRA8, SRGB8, RGBA8UI, RGB10A2, R16F, RGBA16F, R32UI, R32F, RG32F, RGBA32F = (
    37,
    44,
    43,
    41,
    64,
    76,
    97,
    98,
    100,
    103,
    109,
)
R8, RG8, R5G6B5, B10G11R11, RGBA16, RG16F, RGBA32UI, RGBA8I, R16UI, RG16, RGB32F, R8UI, RG8I = (
    9,
    16,
    4,
    122,
    91,
    83,
    107,
    42,
    74,
    77,
    106,
    13,
    21,
)
RGBA8S, RGBA16S, RGBA16UI, RGBA16I, RGBA4, A1RGB5, RG32UI, R32I = 38, 92, 95, 96, 2, 8, 101, 99
RGBA32I = 108
D16, D32, S8, D24S8, D32S8 = 124, 126, 127, 129, 130
A8 = 1000470001  # VK_FORMAT_A8_UNORM_KHR
SIZES = {
    A8: 1,
    R8: 1,
    R8UI: 1,
    RG8: 2,
    RG8I: 2,
    R5G6B5: 2,
    RGBA4: 2,
    A1RGB5: 2,
    R16F: 2,
    R16UI: 2,
    RGBA16: 8,
    RGBA16F: 8,
    RGBA16S: 8,
    RGBA16UI: 8,
    RGBA16I: 8,
    RG32F: 8,
    RG32UI: 8,
    RGBA32F: 16,
    RGBA32UI: 16,
    RGBA32I: 16,
    D16: 2,
    S8: 1,
}
INTEGERS = {
    RGBA32I,
    RGBA8UI,
    R32UI,
    RGBA32UI,
    RGBA8I,
    R16UI,
    R8UI,
    RG8I,
    RGBA16UI,
    RGBA16I,
    RG32UI,
    R32I,
}
POINTS, LINES, LINE_STRIP, TRIANGLES, STRIP, FAN = range(6)

VERTEX = """#version 450
layout(location = 0) in vec4 position; layout(location = 1) in vec4 colour;
layout(location = 0) out vec4 shade;
void main() { gl_Position = position; shade = colour; gl_PointSize = 1.0; }
"""
FRAGMENT = """#version 450
layout(location = 0) in vec4 shade; layout(location = 0) out vec4 pixel;
void main() { pixel = shade; }
"""
FULL = """#version 450
layout(location = 0) out vec2 at;
void main() { at = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1); gl_Position = vec4(at * 2.0 - 1.0, 0.25, 1.0); }
"""


def fragment(
    body: str, declarations: str = "", inputs: str = "layout(location = 0) in vec4 shade;"
) -> str:
    return f"#version 450\n{inputs}\nlayout(location = 0) out vec4 pixel;\n{declarations}\nvoid main() {{ {body} }}\n"


def mesh(count: int, seed: int, reach: float = 1.0) -> np.ndarray:
    """``count`` vertices: position (x, y, z, 1) and colour, on a grid of 1/16 so that results do not hang on ties."""
    dice = np.random.default_rng(seed)
    out = np.ones((count, 8), np.float32)
    out[:, :2] = dice.uniform(-reach, reach, (count, 2))
    out[:, 2] = dice.uniform(0, 1, count)
    out[:, 4:] = dice.uniform(0, 1, (count, 4))
    return out


ONE = mesh(3, 0)
ONE[:, :4] = [(0, -0.8, 0.5, 1), (0.8, 0.8, 0.25, 1), (-0.8, 0.8, 0.75, 1)]


class Picture(Case):
    """A case that draws into one image."""

    def __init__(
        self,
        name: str,
        *,
        form: int = RGBA8,
        size: tuple[int, int] = (64, 48),
        zs: int = 0,
        layers: int = 1,
        samples: int = 1,
    ) -> None:
        super().__init__(name, form=form)
        self.size, self.zs = size, zs
        self.bytes = SIZES.get(form, 4) * size[0] * size[1] * layers
        self.do("buffer", 15, max(self.bytes, 16))
        self.image(0, form, *size, layers=layers, samples=samples)
        if zs:
            self.aspect = {D16: 2, D32: 2, S8: 4}.get(zs, 6)
            self.image(1, zs, *size, aspect=self.aspect, samples=samples)

    def image(
        self,
        number: int,
        form: int,
        width: int,
        height: int,
        *,
        depth: int = 1,
        levels: int = 1,
        layers: int = 1,
        samples: int = 1,
        kind: int | None = None,
        view: int = -1,
        aspect: int = 1,
        usage: int = 0,
        flags: int = 0,
        tiling: int = 0,
        swizzle: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        """An image with a view of all of it."""
        dimension = 2 if depth > 1 else 1
        dimension = dimension if kind is None else kind
        if not usage:
            usage = (
                3 | 4 | (16 if aspect == 1 else 32)
                if samples == 1
                else 3 | (16 if aspect == 1 else 32)
            )
        if view < 0:
            view = {0: 0, 1: 1, 2: 2}[dimension] if layers == 1 else 5
        self.do(
            "image",
            number,
            dimension,
            form,
            width,
            height,
            depth,
            levels,
            layers,
            samples,
            usage,
            flags,
            tiling,
            aspect,
        )
        self.do("view", number, number, view, form, aspect, 0, levels, 0, layers, *swizzle)

    def pipeline(
        self,
        number: int,
        vertex: str = VERTEX,
        shader: str = FRAGMENT,
        settings: str = "",
        *,
        which: int = -1,
        push: int = 0,
        inputs: str | None = None,
    ) -> None:
        if inputs is None:
            inputs = "binding 0 32 0 attribute 0 0 109 0 attribute 1 0 109 16"
        zs = (
            f"zs {self.zs if self.aspect & 2 else 0} {self.zs if self.aspect & 4 else 0}"
            if self.zs
            else ""
        )
        if "colors" not in settings:
            settings += f" colors 1 {self.form}"
        self.do(
            "graphics",
            number,
            which,
            push,
            self.shader("vert", vertex),
            self.shader("frag", shader) if shader else "-",
            inputs,
            zs,
            settings,
        )

    def clear_values(self) -> str:
        return "3 200 77 1000" if self.form in INTEGERS else "0.25 0.5 0.125 0.75"

    def start(self, *, load: int = 1, extra: str = "", depth: str = "1.0 0") -> None:
        """begin, rendering, viewport."""
        self.do("begin").do("general", 0)
        if self.zs:
            self.do("general", 1)
        for line in self.early:
            self.do(line)
        self.render(load=load, extra=extra, depth=depth)

    early: Sequence[str] = ()

    def render(self, *, load: int = 1, extra: str = "", depth: str = "1.0 0") -> None:
        parts = f"color 0 {load} 0 {self.clear_values()}"
        if self.zs and self.aspect & 2:
            parts += f" depth 1 {load} 0 {depth}"
        if self.zs and self.aspect & 4:
            parts += f" stencil 1 {load} 0 {depth}"
        self.do("rendering 0 0", *self.size, 1, parts, extra)
        self.do("viewport 0 0", *self.size, 0, 1).do("scissor 0 0", *self.size)

    def vertices(self, data: np.ndarray, number: int = 0, binding: int | None = None) -> None:
        self.do("buffer", number, data.nbytes, self.file(data))

    def finish(self, image: int = 0) -> Picture:
        self.do("end_rendering").do("barrier")
        return self.take(image)

    def take(
        self,
        image: int = 0,
        level: int = 0,
        layers: int = 1,
        size: tuple[int, int] | None = None,
        aspect: int = 0,
    ) -> Picture:
        self.do(
            "download 15",
            image,
            0,
            0,
            0,
            level,
            0,
            layers,
            0,
            0,
            0,
            *(size or self.size),
            1,
            aspect or "",
        )
        self.do("submit").save(15)
        return self


def simple(
    name: str,
    data: np.ndarray = ONE,
    draw: str = "",
    *,
    vertex: str = VERTEX,
    shader: str = FRAGMENT,
    settings: str = "",
    indices: np.ndarray | None = None,
    push: str = "",
    before: Sequence[str] = (),
    form: int = RGBA8,
    size: tuple[int, int] = (64, 48),
    zs: int = 0,
    depth: str = "1.0 0",
) -> Picture:
    """One draw call."""
    case = Picture(name, form=form, size=size, zs=zs)
    case.vertices(data)
    if indices is not None:
        case.vertices(indices, 1)
    case.pipeline(0, vertex, shader, settings, push=64 if push else 0)
    case.start(depth=depth)
    case.do("use 0").do("vertices 0 0 0")
    if push:
        case.do("push", push)
    for line in before:
        case.do(line)
    if indices is not None:
        case.do("indices 1 0", {1: 1000265000, 2: 0, 4: 1}[indices.dtype.itemsize])
    for line in (
        draw
        or (
            f"draw {len(data)} 1 0 0" if indices is None else f"draw_indexed {len(indices)} 1 0 0 0"
        )
    ).split(";"):
        case.do(line)
    return case.finish()
