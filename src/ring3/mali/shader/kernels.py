"""The few loops over threads that NumPy has no operation for, compiled by Numba and cached on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from ring3.compiled import njit, vectorize


@intrinsic
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """LLVM's fused multiply-add: one rounding."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), codegen


@vectorize(["float32(float32, float32, float32)"])
def fma32(a: Any, b: Any, c: Any) -> Any:
    """a * b + c rounded once, element by element."""
    return _fma(a, b, c)  # type: ignore[call-arg]


#: Atomic operations, by the names of the instruction set.
ATOMICS = {
    "aadd": 0, "asmin": 1, "asmax": 2, "aumin": 3, "aumax": 4, "aand": 5, "aor": 6, "axor": 7,
    "axchg": 8, "acmpxchg": 9,
}  # fmt: skip


@njit
def atomic32(words: Any, op: int, lanes: Any) -> None:
    """``lanes`` = (index, operand, compare, old).  Lane after lane: old[i] = words[index[i]], then
    words[index[i]] = op(old[i], operand[i])."""
    index, operand, compare, old = lanes
    for lane in range(len(index)):
        at = index[lane]
        before = np.uint32(words[at])
        value = np.uint32(operand[lane])
        old[lane] = before
        if op == 0:
            value = np.uint32(before + value)
        elif op == 1:
            value = before if np.int32(before) < np.int32(value) else value
        elif op == 2:
            value = before if np.int32(before) > np.int32(value) else value
        elif op == 3:
            value = min(before, value)
        elif op == 4:
            value = max(before, value)
        elif op == 5:
            value = before & value
        elif op == 6:
            value = before | value
        elif op == 7:
            value = before ^ value
        elif op == 9 and before != np.uint32(compare[lane]):
            value = before
        words[at] = value


@njit
def atomic64(words: Any, op: int, lanes: Any) -> None:
    """As atomic32, on 64-bit words."""
    index, operand, compare, old = lanes
    for lane in range(len(index)):
        at = index[lane]
        before = np.uint64(words[at])
        value = np.uint64(operand[lane])
        old[lane] = before
        if op == 0:
            value = np.uint64(before + value)
        elif op == 1:
            value = before if np.int64(before) < np.int64(value) else value
        elif op == 2:
            value = before if np.int64(before) > np.int64(value) else value
        elif op == 3:
            value = min(before, value)
        elif op == 4:
            value = max(before, value)
        elif op == 5:
            value = before & value
        elif op == 6:
            value = before | value
        elif op == 7:
            value = before ^ value
        elif op == 9 and before != np.uint64(compare[lane]):
            value = before
        words[at] = value
