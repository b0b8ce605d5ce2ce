"""Images of two and three planes, sampled through a conversion from Y'CbCr."""

from __future__ import annotations

import numpy as np
from vulkan_pictures import FULL, RGBA8, Picture, fragment
from vulkan_script import SAMPLED, Case

# Format -> (bytes of a channel, planes, chroma's divisors across and down).
FORMATS = {
    1000156002: (1, 3, 2, 2),
    1000156003: (1, 2, 2, 2),
    1000156004: (1, 3, 2, 1),
    1000156005: (1, 2, 2, 1),
    1000156030: (2, 2, 2, 2),
    1000156032: (2, 2, 2, 1),
    1000330000: (1, 2, 1, 1),
    1000330003: (2, 2, 1, 1),
}
RGB, IDENTITY, BT709, BT601, BT2020 = range(5)
FULL_RANGE, NARROW = range(2)
COSITED, MIDPOINT = range(2)
PLANE = 0x10  # aspect of plane 0; the others follow


def planes(form: int, size: tuple[int, int], dice: np.random.Generator) -> list[np.ndarray]:
    """Random contents: (height, width, channels) of each plane."""
    bytes_of, count, across, down = FORMATS[form]
    kind, top = (np.uint8, 256) if bytes_of == 1 else (np.uint16, 65536)
    shapes = [(size[1], size[0], 1)]
    chroma = (size[1] // down, size[0] // across)
    shapes += [(*chroma, 2)] if count == 2 else [(*chroma, 1)] * 2
    return [dice.integers(0, top, shape, kind) for shape in shapes]


def sampled(
    name: str,
    form: int,
    data: list[np.ndarray],
    *,
    model: int = BT601,
    value_range: int = FULL_RANGE,
    linear: bool = False,
    offsets: tuple[int, int] = (COSITED, COSITED),
    scale: float = 1.0,
    body: str = "pixel = texture(t, at * {scale});",
    size: tuple[int, int] = (64, 48),
    mapping: str = "0 0 0 0",
    layers: int = 1,
) -> Picture:
    """A picture of the image, stretched by 1 / ``scale``; ``layers`` lie one below the other in ``data``."""
    case = Picture(name, form=RGBA8, size=size)
    height, width, _ = data[0].shape
    height //= layers
    case.do("image 2 1", form, width, height, "1 1", layers, "1 6 0 0 1")
    case.do("conversion 0", form, model, value_range, mapping, *offsets, int(linear))
    kind = 1 if layers == 1 else 5
    case.do("view 2 2", kind, form, "1 0 1 0", layers, "0 0 0 0 conversion 0")
    case.do("sampler 0", *[int(linear)] * 2, "0 2 2 2 0.0 0.0 0.0 1.0 -1 0 0 conversion 0")
    case.do("set 0", SAMPLED, 2, 0)
    shader = fragment(
        body.format(scale=scale),
        f"layout(binding = 0) uniform sampler2D{'' if layers == 1 else 'Array'} t;",
        "layout(location = 0) in vec2 at;",
    )
    case.pipeline(0, FULL, shader, "topology 4", which=0, inputs="")
    case.early = ["general 2"]
    for number, plane in enumerate(data):
        case.do("buffer", 3 + number, plane.nbytes, case.file(plane))
        high, wide, _ = plane.shape
        case.early.append(
            f"upload {3 + number} 2 0 0 0 0 0 {layers} 0 0 0 {wide} {high // layers} 1 {PLANE << number}"
        )
    case.early.append("barrier")
    case.start()
    case.do("use 0").do("draw 4 1 0 0")
    return case.finish()


def ycbcr() -> list[Case]:
    """All formats that panvk offers; models, ranges and filters."""
    cases: list[Case] = []
    dice = np.random.default_rng(8)
    for form in FORMATS:
        data = planes(form, (16, 12), dice)
        for linear in (False, True):
            cases.append(sampled(f"planes{form}_{int(linear)}", form, data, linear=linear))
        for x in (COSITED, MIDPOINT):
            for y in (COSITED, MIDPOINT):
                name = f"siting{form}_{x}{y}"
                cases.append(sampled(name, form, data, linear=True, offsets=(x, y), scale=0.6))
    data = planes(1000156003, (16, 12), dice)
    for model in range(5):
        for value_range in (FULL_RANGE, NARROW):
            name = f"model{model}_{value_range}"
            cases.append(sampled(name, 1000156003, data, model=model, value_range=value_range))
    cases.append(
        sampled("swapped", 1000156002, planes(1000156002, (16, 12), dice), mapping="5 0 3 0")
    )
    several = planes(1000156003, (16, 36), dice)
    body = "pixel = texture(t, vec3(at, at.x * 2.6));"
    cases.append(sampled("layered", 1000156003, several, body=body, layers=3))
    return cases
