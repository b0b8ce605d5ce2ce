"""Recall of direct calls against GCC's own call graph of ext4 and fat, built from the same tree."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.audit import store
from ring3.audit.expansion import direct_calls
from ring3.audit.program import Program, flatten

VERSION = "7.2"
FOLDERS = ("fs/ext4", "fs/fat")
#: Functions that the tracepoint macros paste together; no source has them.
TRACEPOINT = re.compile(
    r"^(?:trace_event_|trace_raw_|perf_trace_|__bpf_trace_|__probestub_|__traceiter_|__trace_|do_trace_)"
)
#: Calls that GCC makes up itself; no source has them.
COMPILER = re.compile(
    r"^(?:__builtin_|__stack_chk|__fentry__|__asan|__SCT__|mem(?:set|cpy|cmp|move)$)"
)


@pytest.mark.oracle
@pytest.mark.timeout(1200)
def test_recall_of_direct_calls(tmp_path: Path, needs: Callable[[str], str]) -> None:
    for tool in ("gcc", "make", "flex", "bison", "bc"):
        needs(tool)
    source = linux_source.kernel_source(VERSION)
    edges = gcc_edges(source, tmp_path)
    assert len(edges) > 4_000
    program = Program(
        store.load(
            store.list_sources(source, ("fs", "include", "mm", "lib", "arch/x86/include"))
        ).facts
    )
    missed = [
        (file, caller, callee)
        for file, caller, callee in edges
        if not told(program, file, caller, callee)
    ]
    recall = 1 - len(missed) / len(edges)
    print(f"recall {recall:.4%} of {len(edges)} direct calls; missed: {sorted(missed)[:200]}")
    assert recall >= 0.995


def gcc_edges(source: Path, build: Path) -> set[tuple[str, str, str]]:
    """(file, caller, callee) of every direct call of a function that is not GCC's own."""
    make = ["make", "-s", "-C", str(source), f"O={build}", "KCFLAGS=-fcallgraph-info"]
    for command in ([*make, "defconfig"], [*make, "-j2", "prepare"]):
        subprocess.run(command, check=True, capture_output=True)
    subprocess.run(
        [*make, "-j2", *(f"{folder}/" for folder in FOLDERS)], check=True, capture_output=True
    )
    edges = set()
    for path in build.rglob("*.ci"):
        for found in re.finditer(
            r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', path.read_text()
        ):
            where, _, caller = found.group(1).rpartition(":")
            callee = found.group(2).rpartition(":")[2]
            file = (
                where.rpartition("linux/" + VERSION + "/")[2]
                if VERSION in where
                else where.lstrip("./")
            )
            if callee == "__indirect_call" or COMPILER.match(callee) or TRACEPOINT.match(caller):
                continue
            edges.add((file, plain(caller), plain(callee)))
    shutil.rmtree(build)
    return edges


def plain(name: str) -> str:
    """A function's name without what GCC appends to its clones."""
    return name.partition(".")[0]


def told(program: Program, file: str, caller: str, callee: str) -> bool:
    """Whether the facts say that ``caller`` calls ``callee``: the rule by which an edge counts.

    Itself once its macros are expanded; or through functions that the compiler may have inlined into it,
    which are those of headers and of its own file, and functions handed to those.  Nothing is left out of
    GCC's edges to win, but what GCC makes up (COMPILER) and the tracepoint macros paste (TRACEPOINT).
    """
    homes = (file,) if file else FOLDERS  # GCC names the file of static functions only
    start = [
        index for index in program.by_name.get(caller, ()) if program.file[index].startswith(homes)
    ]
    seen = set(start)
    stack = list(start)
    while stack:
        index = stack.pop()
        names = direct_calls(program, index)
        if callee in names:
            return True
        for name in {*names, *handed(program, index)}:
            if name == callee:
                return True
            known = program.by_name.get(name, ())
            made = None if known else program.resolve(name, program.file[index])
            for inner in known if made is None else (made,):
                if inner not in seen and inlined(program, inner, program.file[index]):
                    seen.add(inner)
                    stack.append(inner)
    return False


def handed(program: Program, function: int) -> set[str]:
    """Functions of its own file that ``function`` hands to others, which GCC may call in their place."""
    path = program.file[function]
    return {
        arg
        for event in flatten(program.body(function)[1])
        if event[0] == "c"
        for arg in event[3]
        if any(program.file[index] == path for index in program.by_name.get(arg, ()))
    }


def inlined(program: Program, index: int, path: str) -> bool:
    function = program.functions[index]
    return function.macro or program.file[index].endswith(".h") or program.file[index] == path
