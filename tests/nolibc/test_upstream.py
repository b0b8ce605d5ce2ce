"""Everything that the kernel's own nolibc (Linux 7.2) offers is here: names are taken from its headers by the
compiler, on every variant that it has.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.arch import ARCHS, Arch
from ring3.errors import MissingPart
from ring3.nolibc import build, generate, toolchain, uapi

#: Its own machinery, what the parser takes for names, and structs of old kernels that linux/utsname.h has.
INTERNAL = re.compile(
    r"_|NOLIBC|MIPS_|sys_|my_|nolibc_heap$|FD_SET(BIT|IDX)MASK$|(new|old|oldold)_utsname$"
    r"|(format|section|optimize)$|(old_)?sigset_t$|sa_(handler|sigaction)$|s390_mmap_arg_struct$"
)


def _names(words: list[str], text: str) -> dict[str, set[str]]:
    """Functions, types and macros after preprocessing ``text`` with the compiler ``words``."""

    def run(*flags: str) -> str:
        done = subprocess.run(
            [*words, "-E", "-P", *flags, "-x", "c", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    code, macros = run(), run("-dM")
    outside = []  # without bodies, so that calls are not taken for declarations
    depth = 0
    for part in re.split(r"([{}])", code):
        depth += (part == "{") - (part == "}")
        if depth == 0:
            outside.append(part)
    flat = "".join(outside)
    return {
        "functions": set(re.findall(r"\b([A-Za-z]\w*)\s*\((?!\()", flat)),
        "types": set(re.findall(r"\b(?:struct|union|enum)\s+([A-Za-z]\w*)\s*[{}]", code))
        | set(re.findall(r"\btypedef\b[^;{]*\b([A-Za-z]\w*)\s*;", code)),
        "macros": {m.group(1) for m in re.finditer(r"^#define (\w+)", macros, re.MULTILINE)},
    }


def _compiler(arch: Arch) -> list[str]:
    try:
        return [*toolchain.find(arch, "gcc").command]
    except MissingPart:
        return [*toolchain.find(arch).command]


@pytest.mark.oracle
@pytest.mark.parametrize("variant", generate.SUPPORTED)
def test_offers_what_upstream_offers(variant):
    arch = ARCHS[variant]
    try:
        source = linux_source.kernel_source("7.2") / "tools/include/nolibc"
        compiler = _compiler(arch)
        kernel = ["-nostdinc", "-isystem", str(uapi.folder(arch))]
    except MissingPart as missing:
        pytest.skip(str(missing))
    if variant in ("alpha", "arm64be"):
        pytest.skip("not in upstream's 7.2")
    headers = [f"sys/{p.name}" for p in sorted(Path(source, "sys").glob("*.h"))] + ["nolibc.h"]
    text = "".join(f"#include <{name}>\n" for name in headers)
    theirs = _names([*compiler, "-I", str(source), *kernel], "#include <nolibc.h>\n" + text)
    plain = _names([*compiler, *kernel], "")
    ours = _names(
        [*compiler, "-I", str(build.include_folder(arch)), *kernel], "#include <nolibc.h>\n" + text
    )
    known = set().union(*ours.values())
    missing_names = {
        name
        for kind, names in theirs.items()
        for name in names - plain[kind] - known
        if not INTERNAL.match(name)
    }
    assert sorted(missing_names) == []
    assert len(theirs["functions"]) > 200
