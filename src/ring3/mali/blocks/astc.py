"""ASTC, two-dimensional: decoded by Arm's own astc-encoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ring3.mali.formats import Bytes

#: Width or height of blocks by the number in a plane.
SIDES = {0: 4, 1: 5, 2: 6, 4: 8, 6: 10, 7: 12}
_MAGENTA = np.array([1, 0, 1, 1], dtype=np.float32)


@cache
def decoder(
    width: int, height: int, *, hdr: bool, srgb: bool, wide: bool
) -> Callable[[Bytes], NDArray[np.float32]]:
    """What makes blocks (m, 16) into texels (m, height, width, 4).

    Blocks that are wrong, and without ``hdr`` those of high dynamic range, are magenta.  What is not
    ``wide`` has eight bits a channel.
    """
    # Imported where it is needed: it looks at what processor this is.
    from astc_encoder import (
        ASTCConfig,
        ASTCConfigFlags,
        ASTCContext,
        ASTCImage,
        ASTCProfile,
        ASTCSwizzle,
        ASTCType,
    )

    profile = ASTCProfile.HDR if hdr else ASTCProfile.LDR_SRGB if srgb else ASTCProfile.LDR
    flags = ASTCConfigFlags.DECOMPRESS_ONLY | (0 if wide else ASTCConfigFlags.USE_DECODE_UNORM8)
    context = ASTCContext(ASTCConfig(profile, width, height, flags=flags))

    def run(blocks: Bytes) -> NDArray[np.float32]:
        image = ASTCImage(ASTCType.F16, width * len(blocks), height)
        context.decompress(blocks.tobytes(), image, ASTCSwizzle())
        texels = np.frombuffer(image.data or b"", np.float16).astype(np.float32)
        values = texels.reshape(height, len(blocks), width, 4).transpose(1, 0, 2, 3)
        if not wide:
            values = np.rint(values * np.float32(255)) / np.float32(255)
        return np.where(np.isnan(values).all(axis=-1, keepdims=True), _MAGENTA, values)

    return run
