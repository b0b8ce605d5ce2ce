"""Subjects' results kept by content: a tree that has not changed is not walked again."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Mapping
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import Any

from ring3.audit.findings import Finding, Step
from ring3.audit.reclaim import Subject


@cache
def analysis_version() -> bytes:
    """Changes with the code of the analysis."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def tree_key(keys: Mapping[str, bytes], roots: tuple[str, ...]) -> bytes:
    """The key of a tree: its paths, their contents (``keys``), extra roots and the analysis itself."""
    digest = hashlib.blake2b(analysis_version(), digest_size=16)
    for name in sorted(keys):
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + keys[name])
    digest.update("\0".join(("", *roots)).encode())
    return digest.digest()


def pack(subject: Subject) -> bytes:
    """``subject`` without its walks, as bytes."""
    findings = [astuple(one) for one in subject.findings]
    plain: Any = (subject.unit, findings, subject.nodes, subject.cut)
    return marshal.dumps(plain)


def unpack(blob: bytes) -> Subject:
    """The opposite of :func:`pack`; ValueError, EOFError or TypeError when the bytes are damaged."""
    unit, findings, nodes, cut = marshal.loads(blob)
    return Subject(unit, [_finding(row) for row in findings], nodes, cut)


def _finding(row: Any) -> Finding:
    plain = Finding(*row)
    steps: Any = (plain.chain, plain.other, (plain.at,))
    chain, other, at = (tuple(Step(*step) for step in part) for part in steps)
    return replace(plain, chain=chain, other=other, at=at[0])
