"""Findings as SARIF 2.1.0 (OASIS), which code review services and editors read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ring3 import __version__
from ring3.audit.findings import RULES, Finding, Step

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(root: Path, findings: Iterable[Finding]) -> dict[str, Any]:
    """One run with every finding: its place, and its chains as code flows."""
    rules = list(RULES)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ring3 audit",
                        "version": __version__,
                        "rules": [
                            {
                                "id": rule.name,
                                "shortDescription": {"text": rule.title},
                                "fullDescription": {"text": rule.help},
                            }
                            for rule in RULES.values()
                        ],
                    }
                },
                "originalUriBaseIds": {"TREE": {"uri": root.resolve().as_uri() + "/"}},
                "columnKind": "utf16CodeUnits",
                "results": [_result(one, rules.index(one.rule)) for one in findings],
            }
        ],
    }


def _result(one: Finding, rule_index: int) -> dict[str, Any]:
    flows = [{"message": {"text": "the way to the allocation"}, "threadFlows": [_flow(one.chain)]}]
    if one.other:
        flows.append(
            {"message": {"text": "how reclaim takes it"}, "threadFlows": [_flow(one.other)]}
        )
    return {
        "ruleId": one.rule,
        "ruleIndex": rule_index,
        "level": one.level,
        "message": {"text": one.message},
        "locations": [_location(one.at)],
        "partialFingerprints": {"ring3/v1": one.id},
        "codeFlows": flows,
        "properties": {"subject": one.subject, "lock": one.lock, "why": list(one.why)},
    }


def _flow(steps: tuple[Step, ...]) -> dict[str, Any]:
    return {"locations": [{"location": _location(step)} for step in steps]}


def _location(step: Step) -> dict[str, Any]:
    note = f" [{step.note}]" if step.note else ""
    return {
        "physicalLocation": {
            "artifactLocation": {
                "uri": quote(os.fsencode(step.file)),
                "uriBaseId": "TREE",
            },
            "region": {"startLine": step.line},
        },
        "logicalLocations": [{"name": step.function, "kind": "function"}],
        "message": {"text": f"{step.function}() -> {step.call}{note}"},
    }
