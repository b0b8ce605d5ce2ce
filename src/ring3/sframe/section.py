"""SFrame's own bytes: header and function descriptors of V1, V2 and V3, in either byte order.

Source of every number: the SFrame specification (draft of October 2026), chapters "SFrame Header" and
"SFrame FDE".  Reading checks that everything lies inside the section; what the rows say is
:mod:`ring3.sframe.decode`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ring3 import arch
from ring3.arch import Arch
from ring3.errors import BadInput, Unsupported
from ring3.sframe.table import signed

SHT_GNU_SFRAME = 0x6FFFFFF4
PT_GNU_SFRAME = 0x6474E554
MAGIC = 0xDEE2

SORTED, FRAME_POINTER, PCREL = 1, 2, 4
#: Header flags by version.
FLAGS = {
    1: {SORTED: "SFRAME_F_FDE_SORTED", FRAME_POINTER: "SFRAME_F_FRAME_POINTER"},
    2: {
        SORTED: "SFRAME_F_FDE_SORTED",
        FRAME_POINTER: "SFRAME_F_FRAME_POINTER",
        PCREL: "SFRAME_F_FDE_FUNC_START_PCREL",
    },
    3: {SORTED: "SFRAME_F_FDE_SORTED", PCREL: "SFRAME_F_FDE_FUNC_START_PCREL"},
}

#: ABI number -> (architecture, fixed offset of RA from the CFA or 0).
ABIS = {
    1: ("arm64be", 0),
    2: ("arm64", 0),
    3: ("x86_64", -8),
    4: ("s390x", 0),
}
ABI_OF = {name: number for number, (name, _) in ABIS.items()}
FIXED_RA = dict(ABIS.values())

# Bits of an FDE's info, of its info2 (V3) and of an FRE's info.
FDE_ADDR, FDE_PCMASK, FDE_KEY_B, FDE_SIGNAL = 0x0F, 0x10, 0x20, 0x80
FDE_TYPE, FLEX = 0x1F, 1
FRE_SP, FRE_COUNT_SHIFT, FRE_COUNT, FRE_SIZE_SHIFT, FRE_SIZE, FRE_MANGLED = 1, 1, 15, 5, 3, 0x80
# Bits of a FLEX control word.
FLEX_REG, FLEX_DEREF, FLEX_REG_SHIFT = 1, 2, 3
# A stored CFA offset on s390x is (offset - 160) / 8.
S390_BIAS, S390_UNIT = 160, 8

HEADER = np.dtype(
    [
        ("magic", "u2"),
        ("version", "u1"),
        ("flags", "u1"),
        ("abi", "u1"),
        ("cfa_fixed_fp_off", "i1"),
        ("cfa_fixed_ra_off", "i1"),
        ("auxhdr_len", "u1"),
        ("num_fdes", "u4"),
        ("num_fres", "u4"),
        ("fre_len", "u4"),
        ("fdeoff", "u4"),
        ("freoff", "u4"),
    ]
)
_FDE_V1 = [
    ("start", "i4"),
    ("size", "u4"),
    ("fre_off", "u4"),
    ("num_fres", "u4"),
    ("info", "u1"),
]
#: What the index holds for one function, by version.
INDEX = {
    1: np.dtype(_FDE_V1),
    2: np.dtype([*_FDE_V1, ("rep_size", "u1"), ("padding", "u2")]),
    3: np.dtype([("start", "i8"), ("size", "u4"), ("fre_off", "u4")]),
}
#: V3's attributes, which stand right before the function's FREs.
ATTRIBUTE = np.dtype([("num_fres", "u2"), ("info", "u1"), ("info2", "u1"), ("rep_size", "u1")])

#: One function descriptor in this machine's byte order, the same for all versions.  ``start`` is an
#: address; ``rows`` is where the FREs begin in the FRE sub-section.
FDE = np.dtype(
    [
        ("start", "i8"),
        ("size", "i8"),
        ("rows", "i8"),
        ("num_fres", "i8"),
        ("info", "u1"),
        ("info2", "u1"),
        ("rep_size", "u1"),
    ],
    align=True,
)
# V1 has no rep_size; the only PCMASK functions it was written for are AMD64's PLTs, of 16 bytes each.
_V1_REP_SIZE = 16


@dataclass(frozen=True)
class Section:
    """A .sframe section whose header and index have been read.

    ``vaddr`` is the section's address and ``where`` its name in errors.  ``big``: the byte order of
    everything in it.
    """

    data: np.ndarray  # u8, all of it
    vaddr: int
    where: str
    big: bool
    header: np.void  # HEADER, in the section's byte order

    @property
    def version(self) -> int:
        """1, 2 or 3."""
        return int(self.header["version"])

    @property
    def order(self) -> Literal["big", "little"]:
        """The byte order as ``int.from_bytes`` takes it."""
        return "big" if self.big else "little"

    @cached_property
    def arch(self) -> Arch:
        """The architecture of the header's ABI."""
        return arch.by_name(ABIS[int(self.header["abi"])][0])

    @property
    def body(self) -> int:
        """Where the sub-sections count from: the end of the header with its auxiliary part."""
        return HEADER.itemsize + int(self.header["auxhdr_len"])

    @property
    def auxiliary(self) -> bytes:
        """The auxiliary header, which no ABI defines yet."""
        return self.data[HEADER.itemsize : self.body].tobytes()

    @cached_property
    def fres(self) -> np.ndarray:
        """The FRE sub-section (u8)."""
        start = self.body + int(self.header["freoff"])
        return self.data[start : start + int(self.header["fre_len"])]

    @cached_property
    def fdes(self) -> np.ndarray:
        """Every function in the order of the index (FDE).  Raises BadInput."""
        order: Literal["<", ">"] = ">" if self.big else "<"
        count = int(self.header["num_fdes"])
        at = self.body + int(self.header["fdeoff"])
        dtype = INDEX[self.version].newbyteorder(order)
        raw = np.frombuffer(self.data, dtype, count, at)
        fdes = np.zeros(count, FDE)
        fdes["start"] = raw["start"]
        fdes["start"] += signed(self.vaddr)
        if self.header["flags"] & PCREL:
            fdes["start"] += at + np.arange(count, dtype=np.int64) * dtype.itemsize
        fdes["size"] = raw["size"]
        fdes["rows"] = raw["fre_off"]
        if self.version < 3:
            fdes["num_fres"] = raw["num_fres"]
            fdes["info"] = raw["info"] & ~np.uint8(FDE_SIGNAL)
            fdes["rep_size"] = raw["rep_size"] if self.version == 2 else _V1_REP_SIZE
            return fdes
        short = raw["fre_off"].astype(np.int64) + ATTRIBUTE.itemsize > len(self.fres)
        if short.any():
            self.fail("the attributes lie outside the FRE sub-section", int(short.argmax()))
        # Unaligned records at arbitrary offsets: gather their bytes, then look at them as records.
        offsets = raw["fre_off"].astype(np.int64)
        gathered = self.fres[offsets[:, None] + np.arange(ATTRIBUTE.itemsize)]
        attributes = gathered.view(ATTRIBUTE.newbyteorder(order)).reshape(count)
        for name in ("num_fres", "info", "info2", "rep_size"):
            fdes[name] = attributes[name]
        fdes["rows"] += ATTRIBUTE.itemsize
        return fdes

    def fail(self, what: str, fde: int) -> None:
        """Raise BadInput about function descriptor ``fde``."""
        at = self.body + int(self.header["fdeoff"]) + fde * INDEX[self.version].itemsize
        raise BadInput(f"FDE {fde}: {what}", where=f"{self.where}+{at:#x}")


def parse(data: bytes | memoryview | np.ndarray, vaddr: int = 0, where: str = ".sframe") -> Section:
    """Read the header of a section at address ``vaddr``.

    Raises BadInput for what is no SFrame section or does not fit, Unsupported for versions and ABIs
    beyond those known; both with ``where`` and the offset of the field.
    """
    view = np.frombuffer(data, np.uint8)
    view.flags.writeable = False  # one type of array, compiled once
    if len(view) < HEADER.itemsize:
        raise BadInput(
            f"an SFrame header takes {HEADER.itemsize} bytes, here are {len(view)}", where=where
        )
    big = int(view[0]) << 8 | int(view[1]) == MAGIC
    header = np.frombuffer(view, HEADER.newbyteorder(">" if big else "<"), 1)[0]
    if header["magic"] != MAGIC:
        raise BadInput(
            f"the magic number is {view[0]:02x} {view[1]:02x}, not SFrame's", where=f"{where}+0x0"
        )
    version = int(header["version"])
    if version not in INDEX:
        raise Unsupported(f"SFrame version {version}", where=f"{where}+0x2", remedy="1, 2 and 3")
    if int(header["flags"]) & ~sum(FLAGS[version]):
        # Compilers that know erratum 1 of V1's successor never wrote V1; any other bit is damage.
        raise BadInput(f"unknown flags {int(header['flags']):#x}", where=f"{where}+0x3")
    if int(header["abi"]) not in ABIS:
        raise Unsupported(f"SFrame ABI {header['abi']}", where=f"{where}+0x4", remedy="1 to 4")
    section = Section(view, vaddr, where, big, header)
    parts = (
        ("index", int(header["fdeoff"]), int(header["num_fdes"]) * INDEX[version].itemsize, 0x14),
        ("FRE sub-section", int(header["freoff"]), int(header["fre_len"]), 0x18),
    )
    for name, offset, size, field in parts:
        if section.body + offset + size > len(view):
            raise BadInput(
                f"the {name} ends at {section.body + offset + size:#x}, the section at {len(view):#x}",
                where=f"{where}+{field:#x}",
            )
    return section
