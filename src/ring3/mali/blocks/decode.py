"""What decoders of compressed blocks share.

A decoder takes blocks (n, bytes) and a place x, y in each, and gives (n, channels) float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.mali.formats import Bytes

Ints = NDArray[np.int64]
Decoder = Callable[[Bytes, Ints, Ints], NDArray[np.float32]]


def packed(data: Bytes, order: str) -> Ints:
    """Eight bytes as a number; the sign bit is one like any other."""
    return np.ascontiguousarray(data).view(f"{order}i8")[:, 0].astype(np.int64)


def widen(value: Ints, bits: int) -> Ints:
    """``bits`` bits to eight, the high ones repeated below."""
    return value << 8 - bits | value >> 2 * bits - 8


def columns(decode: Callable[..., NDArray[np.float32]], channels: int, signed: bool) -> Decoder:
    """A decoder of ``channels`` times eight bytes, from one of a channel."""

    def run(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
        parts = [decode(data[:, 8 * one : 8 * one + 8], x, y, signed) for one in range(channels)]
        return np.stack(parts, axis=1)

    return run


def whole(decode: Callable[[Bytes], NDArray[Any]]) -> Decoder:
    """A decoder that decodes each different block once, from one that gives all texels of blocks
    (m, 16): (m, height, width, channels)."""

    def run(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(data).view("V16")[:, 0]
        _, first, which = np.unique(rows, return_index=True, return_inverse=True)
        return decode(data[first])[which, y, x].astype(np.float32, copy=False)

    return run
