"""Fixed-function blending: A + B * C, as a blend descriptor's functions say, on bytes and on floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Blend

Product = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def times(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """a * b / 255 of bytes, nearly rounded to nearest (``GpuConfig.exact_blending``)."""
    product = a * b
    return (product + (product >> 8) + 128) >> 8


def times_exact(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """a * b / 255 of bytes, rounded to nearest."""
    product = a * b + 128
    return (product + (product >> 8)) >> 8


def blend_rgba8(
    source: NDArray[np.uint8], old: NDArray[np.uint8], blend: Blend, product: Product
) -> NDArray[np.uint8]:
    """Fixed-function blending A + B * C on bytes (n, 4), as the blend equation says; each product of the
    equation is rounded by itself."""
    src, dst = source.astype(np.int32), old.astype(np.int32)
    constant = blend.constant >> 8
    if blend.rgb == blend.alpha and blend.rgb >> 8 & 7 in (1, 5, 6, 7):
        alphas = (src[:, 3:], dst[:, 3:])
        return _equation((src, dst, *alphas, constant), blend.rgb, product).astype(np.uint8)
    out = np.empty_like(src)
    for channels, function in ((slice(0, 3), blend.rgb), (slice(3, 4), blend.alpha)):
        terms = (src[:, channels], dst[:, channels], src[:, 3:], dst[:, 3:], constant)
        out[:, channels] = _equation(terms, function, product)
    return out.astype(np.uint8)


def blend_floats(
    source: NDArray[np.float32], old: NDArray[np.float32], blend: Blend, limited: bool
) -> NDArray[np.float32]:
    """Fixed-function blending of floats; ``limited`` to [0, 1]."""
    out = np.empty_like(source)
    constant = np.float32((blend.constant >> 8) / 255)
    for channels, function in ((slice(0, 3), blend.rgb), (slice(3, 4), blend.alpha)):
        src, dst = source[:, channels], old[:, channels]
        a, b, c = function & 3, function >> 4 & 3, function >> 8 & 7
        if not a or not c:
            raise Unsupported(f"blend function {function:#x} is not there yet")
        zero = np.zeros_like(src)
        alphas = (source[:, 3:], old[:, 3:])
        factor = (zero, zero, src, dst, 2 * src, *alphas, zero + constant)[c]
        if function >> 11 & 1:
            factor = 1 - factor
        first = {1: zero, 2: src, 3: dst}[a] * (-1 if function >> 3 & 1 else 1)
        second = (src - dst, src + dst, src, dst)[b] * (-1 if function >> 7 & 1 else 1)
        total = first + second * factor
        out[:, channels] = np.clip(total, 0, 1) if limited else total
    return out


def _equation(
    terms: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int],
    function: int,
    times: Product,
) -> NDArray[Any]:
    """One blend function of source, destination, their alphas and the constant: A, -A; B, -B; C, 1 - C."""
    src, dst, src_alpha, dst_alpha, constant = terms
    a, b, c = function & 3, function >> 4 & 3, function >> 8 & 7
    if not a or not c:
        raise Unsupported(f"blend function {function:#x} is not there yet")
    zero = np.zeros_like(src_alpha)
    factor = (zero, zero, src, dst, 2 * src, src_alpha, dst_alpha, zero + constant)[c]
    if function >> 11 & 1:
        factor = 255 - factor
    sign_a, sign_b = -1 if function >> 3 & 1 else 1, -1 if function >> 7 & 1 else 1
    if (a, b, sign_a, sign_b) == (3, 0, 1, 1):
        # D + (S - D) * C is S * C + D * (1 - C): two products, as APIs write it.
        return np.clip(times(src, factor) + times(dst, 255 - factor), 0, 255)
    if (a, b, sign_a, sign_b) == (2, 0, 1, -1):
        return np.clip(times(src, 255 - factor) + times(dst, factor), 0, 255)
    first = {1: zero, 2: src, 3: dst}[a]
    second = zero
    if b != 3:
        second = second + times(src, factor)
    if b != 2:
        second = second + (-1 if b == 0 else 1) * times(dst, factor)
    return np.clip(sign_a * first + sign_b * second, 0, 255)


def quantize(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, c) floats to bytes (n, 4); missing channels are 0, 0, 0, 1; NaN is 0."""
    out = np.zeros((len(values), 4), dtype=np.uint8)
    out[:, 3] = 255
    clean = np.fmin(np.fmax(values, np.float32(0)), np.float32(1))
    out[:, : values.shape[1]] = np.rint(clean * np.float32(255))
    return out
