"""The triangle's three shaders, assembled by hand.

Encodings are those of the Valhall instruction set description: opcode in bits 56:48, flow control in
62:59, destination or staging register in 45:40, three source bytes below.  A source byte is a register,
with bit 6 on its last use, or 0x80 plus the number of a uniform word.
"""

from __future__ import annotations

import struct

LAST = 0x40  # the register's last use
UNIFORM = 0x80
_WRITE, _READ = 0x80, 0x40  # what the instruction does to its staging registers

# Flow control: wait for message slots before the instruction, or end the shader after it.
NONE, WAIT0, WAIT1, END = 0, 1, 2, 15


def _word(opcode: int, flow: int, rest: int) -> bytes:
    return struct.pack("<Q", flow << 59 | opcode << 48 | rest)


def shaddx(dest: int, base: int, index: int, shift: int, flow: int = NONE) -> bytes:
    """SHADDX.u64 dest, base, index.w0, shift: a 64-bit address of element ``index``."""
    return _word(
        0x1A3, flow, (0xC0 | dest) << 40 | 0x20 << 24 | (shift << 4 | 7) << 16 | index << 8 | base
    )


def fma(dest: int, a: int, b: int, c: int, flow: int = NONE) -> bytes:
    """FMA.f32 dest, a, b, c"""
    return _word(0x0B2, flow, (0xC0 | dest) << 40 | c << 16 | b << 8 | a)


def mov(dest: int, source: int, flow: int = NONE) -> bytes:
    """MOV.i32 dest, source"""
    return _word(0x091, flow, (0xC0 | dest) << 40 | source)


def load128(first: int, address: int, offset: int, flow: int = NONE) -> bytes:
    """LOAD.i128.unsigned.slot0 @first..., address, offset"""
    return _word(0x060, flow, (_WRITE | first) << 40 | 0xF838 << 24 | offset << 8 | address)


def store128(first: int, address: int, stream: int, flow: int = NONE) -> bytes:
    """STORE.i128.slot0 @first..., address; ``stream``: 1 positions (istream), 2 varyings (estream)."""
    return _word(0x061, flow, (_READ | first) << 40 | (0x0838 + stream) << 24 | address)


def lea_outputs(dest: int, vertex: int, flow: int = NONE) -> bytes:
    """LEA_BUF_IMM.slot1 @dest, vertex, table:0xD, index:0: where the vertex's outputs go"""
    return _word(0x05E, flow, (_WRITE | dest) << 40 | 0x0440 << 24 | 0x0D << 8 | vertex)


def position_shader() -> bytes:
    """Clip space to pixels: u0 is the vertex buffer (32 bytes a vertex), u2..u5 scale and offset."""
    return b"".join(
        (
            shaddx(0, UNIFORM | 0, LAST | 60, 5),
            load128(4, LAST | 0, 0),
            lea_outputs(0, LAST | 59),
            fma(8, LAST | 4, UNIFORM | 2, UNIFORM | 3, WAIT0),
            fma(9, LAST | 5, UNIFORM | 4, UNIFORM | 5),
            mov(10, LAST | 6),
            mov(11, LAST | 7, WAIT1),
            store128(8, LAST | 0, 1, END),
        )
    )


def varying_shader() -> bytes:
    """Hand the vertex's colour on."""
    return b"".join(
        (
            shaddx(0, UNIFORM | 0, LAST | 60, 5),
            load128(4, LAST | 0, 16),
            lea_outputs(0, LAST | 59, WAIT0),
            mov(10, 10, WAIT1),
            store128(4, LAST | 0, 2, END),
        )
    )


def fragment_shader() -> bytes:
    """Interpolate the colour and blend it in."""
    return b"".join(
        (
            # LD_VAR_BUF_IMM.f32.slot1.v4.src_f32.center.retrieve @r0:r1:r2:r3, r61, index:0
            _word(0x05C, NONE, 0x80 << 40 | 0x1872 << 24 | 61),
            # ATEST.wait1 @r60, r60, r3, atest_datum.w0
            _word(0x07D, WAIT1, 0xBC << 40 | 0x02 << 32 | 0xEA << 16 | 3 << 8 | 60),
            # BLEND.slot0.v4.f32.end @r0:r1:r2:r3, blend_descriptor_0.w0, r60, target:0
            _word(0x07F, END, 0x40 << 40 | 0x08 << 32 | 0x32 << 24 | 60 << 16 | 0xF0),
        )
    )
