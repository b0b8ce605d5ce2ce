"""Findings as text and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ring3.audit.findings import RULES, Finding, Step
from ring3.audit.run import Report

_NOTHING = (
    "nothing there is called by reclaim: no shrinker, no operations of a filesystem or block device "
    "(--root FUNCTION names more)"
)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
#: So many subjects of a review are named.
_NAMED = 12


def text(findings: Iterable[Finding], *, chains: bool = True) -> str:
    """One paragraph a finding: place, level, message, rule and id, then the chain."""
    lines: list[str] = []
    for one in findings:
        others = f" (+{one.others} more ways)" if one.others else ""
        lines.append(
            f"{visible(one.at.file)}:{one.at.line}: {one.level}: {one.message} [{one.rule} {one.id}]{others}"
        )
        if chains:
            lines += [f"    {step_text(step)}" for step in one.chain]
            if one.other:
                lines.append("  reclaim takes it:")
                lines += [f"    {step_text(step)}" for step in one.other]
            lines.append("")
    return "\n".join(lines)


def step_text(step: Step) -> str:
    """``function file:line -> call [flags]``."""
    note = f"  [{step.note}]" if step.note else ""
    return f"{step.function} {visible(step.file)}:{step.line} -> {step.call}{note}"


def visible(text: str) -> str:
    """``text``, of a file's name or a comment, with nothing in it that ends a line or steers a terminal."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def summary(report: Report) -> str:
    """One line: what was read and what was found."""
    counts = Counter(one.level for one in report.findings)
    shown = ", ".join(f"{counts[level]} {level}s" for level in ("error", "warning", "note"))
    extra = f", {report.suppressed} suppressed" if report.suppressed else ""
    extra += f", {report.known} in the baseline" if report.known else ""
    line = (
        f"{report.files:,} files, {report.functions:,} functions, {len(report.subjects)} subjects: "
        f"{shown}{extra}, {report.seconds:.1f} s"
    )
    return line if report.subjects else f"{line}\n{_NOTHING}"


def reviewed(report: Report) -> str:
    """One line: which subjects a patch or another tree has been judged on."""
    subjects = list(report.subjects)
    names = ", ".join(subjects[:_NAMED])
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    return f"judged on {len(subjects)} subjects: {names}{more}" if subjects else _NOTHING


def as_json(report: Report, findings: Iterable[Finding]) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "tree": str(report.root),
        "files": report.files,
        "functions": report.functions,
        "subjects": list(report.subjects),
        "cut": report.cut,
        "problems": [{"file": name, "problem": problem} for name, problem in report.problems],
        "findings": [finding_json(one) for one in findings],
    }


def finding_json(one: Finding) -> dict[str, Any]:
    """One finding as plain data."""
    return {
        "id": one.id,
        "rule": one.rule,
        "level": one.level,
        "subject": one.subject,
        "message": one.message,
        "file": one.at.file,
        "line": one.at.line,
        "function": one.at.function,
        "lock": one.lock,
        "chain": [_step_json(step) for step in one.chain],
        "reclaim": [_step_json(step) for step in one.other],
        "why": list(one.why),
        "other_ways": one.others,
    }


def explain(one: Finding) -> str:
    """Everything about one finding."""
    rule = RULES[one.rule]
    lines = [f"{one.id} {rule.title}", "", one.message, "", "The way there:"]
    lines += [f"  {step_text(step)}" for step in one.chain]
    if one.other:
        lines += ["", "How reclaim takes the lock:"]
        lines += [f"  {step_text(step)}" for step in one.other]
    lines += ["", f"Why it is believed ({one.level}):"]
    lines += [f"  - {reason}" for reason in one.why]
    if one.others:
        lines.append(f"  - {one.others} other ways lead here under the lock")
    lines += ["", rule.help]
    return "\n".join(lines)


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "function": step.function,
        "file": step.file,
        "line": step.line,
        "call": step.call,
        "note": step.note,
    }
