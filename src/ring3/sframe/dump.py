"""A section in the words of ``objdump --sframe``, row by row as the bytes stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ring3.errors import BadInput
from ring3.sframe.section import (
    FDE_ADDR,
    FDE_KEY_B,
    FDE_PCMASK,
    FDE_SIGNAL,
    FDE_TYPE,
    FLAGS,
    FLEX,
    FLEX_DEREF,
    FLEX_REG,
    FLEX_REG_SHIFT,
    FRE_COUNT,
    FRE_COUNT_SHIFT,
    FRE_MANGLED,
    FRE_SIZE,
    FRE_SIZE_SHIFT,
    FRE_SP,
    S390_BIAS,
    S390_UNIT,
    Section,
)

_ADDRESS = 0xFFFFFFFFFFFFFFFF


@dataclass(slots=True)  # frozen ones take three times as long to make, and there are millions
class Row:
    """One row.  ``start`` is an address, or the offset in the block of a PCMASK function; the rules are
    in objdump's words, all empty for an outermost frame."""

    start: int
    cfa: str
    fp: str
    ra: str


@dataclass(frozen=True)
class Function:
    """One function descriptor.  ``rep_size`` is 0 unless the rows repeat (PCMASK)."""

    start: int
    size: int
    signal: bool
    flex: bool
    key_b: bool
    rep_size: int
    rows: list[Row]


def functions(section: Section) -> Iterator[Function]:
    """Every function in the order of the index.  Raises BadInput where a row leaves the section."""
    names = section.fdes.dtype.names or ()
    arm = section.arch.family == "arm64"
    data = section.fres.tobytes()
    # Of a million rows a few hundred say something else than another one.
    known: dict[tuple[bool, int, bytes], tuple[str, str, str]] = {}
    for index, values in enumerate(section.fdes.tolist()):
        fde = dict(zip(names, values, strict=True))
        flex = fde["info2"] & FDE_TYPE == FLEX
        masked = bool(fde["info"] & FDE_PCMASK)
        base = 0 if masked else fde["start"]
        rows = []
        for start, info, words in _rows(section, data, fde, index):
            key = flex, info, words
            if key not in known:
                known[key] = _said(section, *key)
            rows.append(Row(base + start & _ADDRESS, *known[key]))
        yield Function(
            fde["start"] & _ADDRESS,
            fde["size"],
            bool(fde["info"] & FDE_SIGNAL),
            flex,
            arm and bool(fde["info"] & FDE_KEY_B),
            fde["rep_size"] if masked else 0,
            rows,
        )


def flags(section: Section) -> list[str]:
    """The header's flags by name."""
    held = int(section.header["flags"])
    return [name for bit, name in FLAGS[section.version].items() if held & bit]


def text(section: Section) -> Iterator[str]:
    """The whole section in lines, as objdump prints them."""
    fields = section.header
    yield "  Header :"
    yield ""
    yield f"    Version: SFRAME_VERSION_{section.version}"
    yield "    Flags: " + ",\n           ".join(flags(section) or ["NONE"])
    if fields["cfa_fixed_fp_off"]:
        yield f"    CFA fixed FP offset: {fields['cfa_fixed_fp_off']}"
    if fields["cfa_fixed_ra_off"]:
        yield f"    CFA fixed RA offset: {fields['cfa_fixed_ra_off']}"
    if fields["auxhdr_len"]:
        yield f"    Auxiliary header: {section.auxiliary.hex(' ')}"
    yield f"    Num FDEs: {fields['num_fdes']}"
    yield f"    Num FREs: {fields['num_fres']}"
    yield ""
    yield "  Function Index :"
    yield ""
    for index, function in enumerate(functions(section)):
        yield from _lines(index, function)


def _lines(index: int, function: Function) -> Iterator[str]:
    line = f"    func idx [{index}]: pc = {function.start:#x}, size = {function.size} bytes"
    if function.signal or function.flex:
        line += f', attr = "{"S" * function.signal}{"F" * function.flex}"'
    if function.key_b:
        line += ", pauth = B key"
    yield line
    marker = "[m]" if function.rep_size else ""
    yield f"    STARTPC{marker:<8} {'CFA':<10}{'FP':<10}{'RA':<13}"
    for row in function.rows:
        if row.cfa:
            yield f"    {row.start:016x}  {row.cfa:<10}{row.fp:<10}{row.ra:<13}"
        else:
            yield f"    {row.start:016x}  RA undefined"
    yield ""


def _rows(
    section: Section, data: bytes, fde: dict[str, int], index: int
) -> Iterator[tuple[int, int, bytes]]:
    """(start, info, the bytes of its words) of each row of a function as they stand in ``data``."""
    at = fde["rows"]
    width = 1 << (fde["info"] & FDE_ADDR)
    if width > 4:
        section.fail("an FRE type that does not exist", index)
    order = section.order
    for _ in range(fde["num_fres"]):
        body = at + width + 1
        if body > len(data):
            section.fail("its rows leave the FRE sub-section", index)
        info = data[body - 1]
        shift = info >> FRE_SIZE_SHIFT & FRE_SIZE
        if shift == 3:
            section.fail("a row whose size of words does not exist", index)
        end = body + ((info >> FRE_COUNT_SHIFT & FRE_COUNT) << shift)
        if end > len(data):
            section.fail("its rows leave the FRE sub-section", index)
        yield int.from_bytes(data[at : body - 1], order), info, data[body:end]
        at = end


def _said(section: Section, flex: bool, info: int, raw: bytes) -> tuple[str, str, str]:
    """CFA, FP and RA of a row in objdump's words; all empty for an outermost frame."""
    if not raw:
        return "", "", ""
    size = 1 << (info >> FRE_SIZE_SHIFT & FRE_SIZE)
    words = [  # those of FLEX are signed here like the others
        int.from_bytes(raw[at : at + size], section.order, signed=True)
        for at in range(0, len(raw), size)
    ]
    cfa, fp, ra = (_flex if flex else _default)(section, info, words)
    return cfa, fp, ra + ("[s]" if section.arch.family == "arm64" and info & FRE_MANGLED else "")


def _cfa_offset(section: Section, word: int) -> int:
    return word * S390_UNIT + S390_BIAS if section.arch.family == "s390" else word


def _saved(section: Section, word: int) -> str:
    if section.arch.family == "s390" and section.version == 2 and word & 1:
        return f"r{word >> 1}"
    return f"c{word:+d}"


def _default(section: Section, info: int, words: list[int]) -> tuple[str, str, str]:
    cfa = f"{'sp' if info & FRE_SP else 'fp'}+{_cfa_offset(section, words[0])}"
    fp, ra = "u", "u"
    rest = words[1:]
    if section.header["cfa_fixed_ra_off"]:
        ra = "f"
    elif rest:
        word = rest.pop(0)
        ra = _saved(section, word) if word else "U"
    if section.header["cfa_fixed_fp_off"]:
        fp = "f"
    elif rest:
        fp = _saved(section, rest.pop(0))
    return cfa, fp, ra


def _flex(section: Section, _info: int, words: list[int]) -> tuple[str, str, str]:
    rest = list(words)
    said = []
    for rule in range(3):
        if not rest:
            said.append("")
            continue
        control = rest.pop(0)
        if not control and rule:
            said.append("U")
            continue
        if not rest:
            raise BadInput("a FLEX row ends after a control word", where=section.where)
        offset = rest.pop(0)
        if rule == 0:
            offset = _cfa_offset(section, offset)
        said.append(_control(section, control, offset))
    cfa, ra, fp = said
    return cfa, fp or "u", ra or ("f" if section.header["cfa_fixed_ra_off"] else "u")


def _control(section: Section, control: int, offset: int) -> str:
    assert section.arch.dwarf is not None
    if not control & FLEX_REG:
        return f"c{offset:+d}" if control & FLEX_DEREF else f"c{offset:+d} itself"
    # As bytes, numbers from 16 on are negative.
    number = (control & 0xFF if -128 <= control < 0 else control) >> FLEX_REG_SHIFT
    name = {section.arch.dwarf.sp: "sp", section.arch.dwarf.fp: "fp"}.get(number, f"r{number}")
    return f"({name}{offset:+d})" if control & FLEX_DEREF else f"{name}{offset:+d}"
