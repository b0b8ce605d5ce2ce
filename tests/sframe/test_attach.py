"""Programs that get a .sframe section still run, and other tools find it."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from sframe_peers import output, tool

from ring3.errors import Ring3Error, Unsupported
from ring3.sframe import convert, load, verify

_SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static int more(int n) { return n ? more(n - 1) + 1 : 0; }
int zeros[1 << 20];
int main(int argc, char **argv) {
    char *copy = malloc(100);
    snprintf(copy, 100, "%d %d", more(argc + 40), zeros[argc]);
    puts(copy);
    return argc == 1 ? 7 : 0;
}
"""


def build(folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    (folder / "a.c").write_text(_SOURCE)
    subprocess.run([compiler, "-O2", *flags, folder / "a.c", "-o", folder / "a"], check=True)
    return folder / "a"


@pytest.mark.parametrize("flags", [[], ["-no-pie"], ["-static"], ["-static-pie"], ["-s"]])
def test_it_runs_and_the_input_is_untouched(flags, needs, tmp_path):
    needs("gcc")
    path = build(tmp_path, *flags)
    before = path.read_bytes()
    place, _ = convert.add(path, tmp_path / "b")
    assert path.read_bytes() == before
    done = subprocess.run([tmp_path / "b"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("41 0\n", 7)
    listing = output(["readelf", "-lW"], tmp_path / "b")
    assert f"0x{place.vaddr:016x}" in listing
    verdict, _ = verify.check(tmp_path / "b", load.sframe(tmp_path / "b"))
    assert verdict.differences == 0
    assert verdict.compared > 10


@pytest.mark.parametrize("flags", [[], ["-no-pie"], ["-static"], ["-static-pie"]])
@pytest.mark.parametrize(
    "command",
    ["strip -o {1} {0}", "objcopy {0} {1}", "llvm-strip -o {1} {0}", "patchelf --output {1} {0}"],
)
def test_other_tools_keep_it_running(command, flags, needs, tmp_path):
    """binutils writes a program's segments anew, each where the last one ended."""
    needs("gcc")
    needs(command.split()[0])
    plain = build(tmp_path, *flags)
    convert.add(plain, tmp_path / "b")

    def through(path: Path) -> tuple[str, int]:
        copy = path.with_suffix(".copy")
        words = command.format(path, copy).split()
        subprocess.run(words, capture_output=True, check=False)
        if not copy.exists():
            return "", -1
        done = subprocess.run([copy], capture_output=True, text=True, check=False)
        return done.stdout, done.returncode

    # Some do not take static programs, with or without a section more.
    expected = through(plain)
    assert through(tmp_path / "b") == expected
    if command.split()[0] in ("strip", "objcopy"):
        assert expected == ("41 0\n", 7)
        verdict, _ = verify.check(tmp_path / "b.copy", load.sframe(tmp_path / "b.copy"))
        assert verdict.differences == 0


@pytest.mark.parametrize(("machine", "gcc"), [("aarch64", "arm64"), ("s390x", "s390x")])
def test_it_runs_on_other_architectures(machine, gcc, needs, tmp_path):
    path = build(tmp_path, "-static", compiler=needs(f"{machine}-linux-gnu-gcc"))
    convert.add(path, tmp_path / "b")
    done = subprocess.run(
        [needs(f"qemu-{machine}"), tmp_path / "b"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("41 0\n", 7)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "path", ["/usr/bin/gdb", "/bin/bash", "/usr/bin/python3", "/usr/bin/node", "/usr/bin/gcc"]
)
def test_real_programs_run(path, needs, tmp_path):
    tree = needs("oracle:binutils")
    original = Path(needs(path)).resolve()
    _, encoded = convert.add(original, tmp_path / "b")
    expected = output([str(original), "--version"]).replace(original.name, "b", 1)
    said = output([str(tmp_path / "b"), "--version"])
    assert said.splitlines()[-1:] == expected.splitlines()[-1:]
    assert said
    listing = output([*tool(tree, "readelf"), "-lSW"], tmp_path / "b")
    assert "GNU_SFRAME" in listing
    dumped = output([*tool(tree, "objdump"), "--sframe"], tmp_path / "b")
    assert dumped.count("func idx") == encoded.functions


def test_a_library_with_a_section_is_still_loaded(needs, tmp_path):
    needs("ldd")
    library = Path("/lib/x86_64-linux-gnu/libm.so.6")
    if not library.exists():
        pytest.skip("libm is not here")
    convert.add(library, tmp_path / library.name)
    done = subprocess.run(
        ["python3", "-c", "import math; print(math.sin(0))"],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "LD_DEBUG": "libs"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0.0\n"
    assert f"{tmp_path}/libm.so.6" in done.stderr


def test_no_second_section(needs, tmp_path):
    needs("gcc")
    convert.add(build(tmp_path), tmp_path / "b")
    with pytest.raises(Ring3Error, match="already"):
        convert.add(tmp_path / "b", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_without_section_headers(needs, tmp_path):
    """A program whose section headers were cut off converts, takes a section and is verified."""
    needs("gcc")
    image = bytearray(build(tmp_path, "-static-pie").read_bytes())
    whole = convert.convert(tmp_path / "a")
    image[40:48] = bytes(8)  # e_shoff
    image[60:64] = bytes(4)  # e_shnum, e_shstrndx
    (tmp_path / "cut").write_bytes(image)
    (tmp_path / "cut").chmod(0o755)
    convert.add(tmp_path / "cut", tmp_path / "b")
    done = subprocess.run([tmp_path / "b"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("41 0\n", 7)
    verdict, _ = verify.check(tmp_path / "b", load.sframe(tmp_path / "b"))
    assert verdict.differences == 0
    assert load.sframe(tmp_path / "b").header["num_fdes"] == whole.encoded.functions


def test_no_room_for_another_header(needs, tmp_path):
    needs("gcc")
    path = build(tmp_path)
    image = bytearray(path.read_bytes())
    image += bytes(-len(image) % 8)
    (headers, count) = (
        struct.unpack_from("<Q", image, 32)[0],
        struct.unpack_from("<H", image, 56)[0],
    )
    table = image[headers : headers + 56 * count]
    struct.pack_into("<Q", image, 32, len(image))
    struct.pack_into("<H", image, 56, 0xFFFE)
    path.write_bytes(image + table + bytes(56 * (0xFFFE - count)))  # the others are PT_NULL
    with pytest.raises(Unsupported, match="headers"):
        convert.add(path, tmp_path / "b")
