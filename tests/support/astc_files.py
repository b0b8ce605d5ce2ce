"""ASTC blocks, and what Arm's astcenc makes of them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np

SIZES = [
    (4, 4), (5, 4), (5, 5), (6, 5), (6, 6), (8, 5), (8, 6), (8, 8), (10, 5), (10, 6), (10, 8), (10, 10),
    (12, 10), (12, 12),
]  # fmt: skip


def blocks(size: tuple[int, int], dice: np.random.Generator, folder: Path) -> np.ndarray:
    """(256, 16): most of them legal, of all kinds; a quarter whatever chance gives."""
    data = dice.integers(0, 256, (4096, 16), np.uint8)
    # Blocks of one colour: eight, whose range of coordinates is none.  Chance has some with negative colours
    # of high dynamic range, which astcenc 5 takes for wrong and astcenc 4 does not.
    data = data[(data[:, 0] != 0xFC) | (data[:, 1] & 1 == 0)]
    data[:8, :8] = np.frombuffer((0xFFFF_FFFF_FFFF_FDFC).to_bytes(8, "little"), np.uint8)
    _, legal = decode(data, size, "dh", folder)
    chosen = np.flatnonzero(legal)[:192]
    return data[np.concatenate((chosen, np.arange(8, 8 + 256 - len(chosen))))]


def decode(
    data: np.ndarray, size: tuple[int, int], profile: str, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Texels (m, height, width, 4) float32, and which of the blocks are legal in ``profile``: dl, ds, dh."""
    width, height = size
    image, out = folder / "blocks.astc", folder / "texels.ktx"
    sides = b"".join(side.to_bytes(3, "little") for side in (width * len(data), height, 1))
    header = struct.pack("<IBBB", 0x5CA1AB13, width, height, 1) + sides
    image.write_bytes(header + data.tobytes())
    command = ["astcenc", f"-{profile}", str(image), str(out), "-silent"]
    subprocess.run(command, check=True)
    raw = out.read_bytes()
    (skip,) = struct.unpack_from("<I", raw, 60)
    pixels = np.frombuffer(raw[64 + skip + 4 :], np.float16 if profile == "dh" else np.uint8)
    rows = pixels.reshape(height, len(data), width, 4).transpose(1, 0, 2, 3)
    texels = rows.astype(np.float32) / np.float32(1 if profile == "dh" else 255)
    legal = ~(np.isnan(texels) | (texels == [1, 0, 1, 1])).all(axis=(1, 2, 3))
    return texels, legal
