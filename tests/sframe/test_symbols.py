"""Names: against c++filt and addr2line on real files, and hostile symbol files."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring3.elf import Elf
from ring3.sframe import facts, facts_of_elf
from ring3.sframe.demangle import demangle
from ring3.sframe.symbols import read_perf_map

LIBSTDCXX = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"


def test_cxx_names_are_as_cxxfilt_has_them(needs):
    with Elf(LIBSTDCXX) as elf:
        symbols = elf.symbols
        names = sorted({symbols.name(n) for n in range(0, len(symbols), 7)})
    names = [name for name in names if name.startswith("_Z")]
    theirs = subprocess.run(
        [needs("c++filt"), "-i"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(names) > 300
    assert [demangle(name) for name in names] == theirs


def test_rust_names(needs):
    needs("c++filt")
    assert demangle("_RNvNtCs1234_7mycrate3foo3bar") == "mycrate::foo::bar"
    last = "drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$$GT$"
    legacy = f"_ZN4core3ptr{len(last)}{last}17h0123456789abcdefE"
    assert demangle(legacy) == "core::ptr::drop_in_place<std::rt::lang_start<()>>"
    for odd in ("main", "_R", "_Z", "_Rnonsense", "_ZN", "_Ra\nb", "a;b"):
        assert demangle(odd) == odd


def test_functions_are_where_addr2line_has_them(needs):
    """libstdc++ has only .dynsym here: addr2line -f knows no less and no more."""
    known = facts.of_file(LIBSTDCXX).symbols
    chosen = range(0, len(known.addr), 97)
    addresses = [known.addr[n] + min(3, known.size[n] // 2) for n in chosen]
    lines = subprocess.run(
        [needs("nm"), "-D", "-S", "--defined-only", "--without-symbol-versions", LIBSTDCXX],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ranges: dict[tuple[int, int], set[str]] = {}
    for line in lines:
        if match := re.match(r"([0-9a-f]+) ([0-9a-f]+) [TtWwiV] (\S+)", line):
            start, size = int(match[1], 16), int(match[2], 16)
            ranges.setdefault((start, size), set()).add(match[3])
    checked = 0
    for address in addresses:
        index = known.find(address)
        names = ranges.get((known.addr[index], known.size[index]))
        if known.text(index) == "[plt]" or names is None:
            continue
        assert known.text(index) in names
        checked += 1
    assert checked > 30


def test_stubs_and_gaps():
    known = facts.of_file(LIBSTDCXX).symbols
    with Elf(LIBSTDCXX) as elf:
        plt = elf.section(".plt")
        end = max(section.addr + section.size for section in elf.sections)
    assert known.text(known.find(plt.addr + 20)) == "[plt]"
    assert known.find(end + 1) == -1
    assert known.find(0) == -1


@given(
    st.dictionaries(st.integers(0, 200), st.tuples(st.integers(1, 20), st.integers(0, 9))),
    st.lists(st.binary(max_size=20), max_size=3),
)
def test_perf_maps(entries, garbage):
    lines = [f"{start:x} {size:x} f{name} of x".encode() for start, (size, name) in entries.items()]
    made = read_perf_map(b"\n".join([b"junk", *lines, b"zz 1 x"]))
    for address in range(230):
        start = max((start for start in entries if start <= address), default=None)
        index = made.find(address)
        if start is None or address >= start + entries[start][0]:
            assert index == -1
        else:
            assert made.text(index) == f"f{entries[start][1]} of x"
    read_perf_map(b"\n".join(garbage))


@pytest.mark.parametrize("spoiled", [b"", b"ring3fct", b"x" * 400])
def test_a_spoiled_cache_is_made_again(spoiled, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = facts.of_file("/bin/true")
    (kept,) = (tmp_path / "ring3" / "facts").iterdir()
    good = kept.read_bytes()
    kept.write_bytes(spoiled or good[: len(good) // 2])
    again = facts.of_file("/bin/true")
    assert [bytes(rows) for _, _, rows in again.tables] == [bytes(r) for _, _, r in first.tables]
    assert len(kept.read_bytes()) == len(good)
    assert facts.of_file("/bin/true").symbols.find(0) == -1


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_lying_file_gives_facts_or_a_reason(data):
    """Every spoiled file is named by name with its problem, or holds what is still good."""
    changed = bytearray(Path("/bin/true").read_bytes())
    headers = len(changed) - 64 * 32
    places = (
        st.integers(0, 1000)
        | st.integers(headers, len(changed) - 8)
        | st.integers(0, len(changed) - 8)
    )
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(places)
        changed[at : at + 8] = data.draw(
            st.sampled_from([b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f"])
            | st.binary(min_size=1, max_size=8)
        )
    found = facts_of_elf.make_from("x", bytes(changed))
    assert found.tables or found.problem
    for address in (0, 0x3000, 1 << 63, (1 << 64) - 1):
        index = found.symbols.find(address)
        if index >= 0:
            found.symbols.text(index)
        for _, rules in found.rules():
            rules.find(address)
