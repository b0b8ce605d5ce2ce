"""A tree of tests as JSON, as JUnit's XML and as one self-contained page.

JUnit's shape is the one that Jenkins's xunit plugin and Ant's JUnitReport both take: a suite has
``properties``, its cases, ``system-out`` and ``system-err`` in this order; a case has one of ``failure``,
``error`` and ``skipped``, or nothing.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as Xml

from ring3.ktap import BAD, Log, Status, Test
from ring3.page import Markup, environment, page

#: The order in which counts are told.
ORDER = (
    *(Status.PASS, Status.FAIL, Status.SKIP, Status.XFAIL, Status.XPASS),
    *(Status.TIMEOUT, Status.CRASH, Status.ERROR, Status.MISSING),
)
_SHOWN = 200  # lines of a message that a page shows at either end
_PLACE = re.compile(r"\w\.[ch]:\d+")
# What XML 1.0 cannot hold, whatever the escaping.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def summary(log: Log) -> str:
    """One line: "830 tests: 805 pass, 25 skip"."""
    counts = log.counts
    told = ", ".join(f"{counts[status]} {status.value}" for status in ORDER if counts[status])
    problems = sum(len(test.problems) for document in log.documents for test in document.walk())
    reports = len(kernel_reports(log))
    return (
        f"{counts.total()} tests: {told or 'none'}"
        + (f"; {problems} problems" if problems else "")
        + (f"; {reports} reports of the kernel" if reports else "")
    )


def why(test: Test) -> str:
    """Why a test is what it is, in a line: its reason and problems, or what it said that tells most."""
    told = "; ".join(filter(None, [test.reason, *test.problems]))
    if told or not test.messages:
        return told
    # A failed check of the harness and of KUnit names its place in the source.
    places = [line for line in test.messages if _PLACE.search(line)]
    return (places or test.messages[-1:])[0].strip().removeprefix("# ").strip()[:300]


def kernel_reports(log: Log) -> list[tuple[str, str]]:
    """What the kernel said of itself while tests ran, as (test, first line of the report)."""
    return [
        (test.name, line)
        for document in log.documents
        for test in document.walk()
        for line in test.reports
    ]


def outline(document: Test) -> Iterator[tuple[int, Test]]:
    """A document's tests with their depth, parents first."""
    waiting = [(0, document)]
    while waiting:
        depth, test = waiting.pop()
        yield depth, test
        waiting.extend((depth + 1, sub) for sub in reversed(test.subtests))


def as_data(log: Log) -> dict[str, Any]:
    """The whole as plain data; empty fields are left out."""
    return {
        "good": log.good,
        "counts": {status.value: log.counts[status] for status in ORDER if log.counts[status]},
        "documents": [_data(document) for document in log.documents],
        "messages": log.messages,
    }


def _data(test: Test) -> dict[str, Any]:
    fields = {
        "name": test.name,
        "status": test.status.value,
        "reason": test.reason,
        "seconds": round(test.seconds, 3) if test.seconds is not None else None,
        "planned": test.planned,
        "problems": test.problems,
        "notes": test.notes,
        "reports": test.reports,
        "messages": test.messages,
        "kernel": test.kernel,
        "subtests": [_data(sub) for sub in test.subtests],
    }
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def junit(log: Log) -> bytes:
    """JUnit XML: every program and every suite of KUnit is a suite, its leaves are cases."""
    root = Xml.Element("testsuites")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for number, (package, suite) in enumerate(_suites(log)):
        cases = list(_cases(suite))
        kinds = [_kind(test) for _, test in cases]
        element = Xml.SubElement(
            root,
            "testsuite",
            name=_text(suite.name),
            tests=str(len(cases)),
            failures=str(kinds.count("failure")),
            errors=str(kinds.count("error")),
            skipped=str(kinds.count("skipped")),
            time=f"{suite.seconds or 0:.3f}",
            timestamp=now,
            hostname=platform.node() or "localhost",
            id=str(number),
            package=_text(package),
        )
        Xml.SubElement(element, "properties")
        for (name, test), kind in zip(cases, kinds, strict=True):
            case = Xml.SubElement(
                element,
                "testcase",
                name=_text(name),
                classname=_text(f"{package}.{suite.name}"),
                time=f"{test.seconds or 0:.3f}",
            )
            if kind:
                reason = why(test) or test.status.value
                told = Xml.SubElement(case, kind, message=_text(reason))
                if kind != "skipped":
                    told.set("type", test.status.value)
                    told.text = _text("\n".join([reason, *test.messages]))
        output = Xml.SubElement(element, "system-out")
        output.text = _text("\n".join([*suite.messages, *suite.notes]))
        errors = Xml.SubElement(element, "system-err")
        errors.text = _text("\n".join(suite.kernel))
    Xml.indent(root)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suites(log: Log) -> Iterator[tuple[str, Test]]:
    for document in log.documents:
        if not document.subtests:
            yield document.name, document
            continue
        for test in document.subtests:
            yield document.name, test
        if document.problems:
            yield document.name, Test("(document)", document.status, problems=document.problems)


def _cases(suite: Test) -> Iterator[tuple[str, Test]]:
    """The leaves with their paths; and the suite itself where it adds a fault of its own."""

    def below(test: Test, path: str) -> Iterator[tuple[str, Test]]:
        for sub in test.subtests:
            name = f"{path}{sub.name}"
            if sub.subtests:
                yield from below(sub, f"{name}/")
            else:
                yield name, sub

    yield from below(suite, "")
    inherited = any(not sub.good for sub in suite.subtests)
    if not suite.subtests or suite.problems or (suite.status in BAD and not inherited):
        own = Test(suite.name, suite.status, reason=suite.reason, problems=suite.problems)
        own.seconds, own.messages = suite.seconds, suite.messages if not suite.subtests else []
        yield suite.name if not suite.subtests else "(as a whole)", own


def _kind(test: Test) -> str:
    if test.status is Status.SKIP:
        return "skipped"
    if test.status in (Status.TIMEOUT, Status.CRASH, Status.ERROR, Status.MISSING):
        return "error"
    return "failure" if test.status in BAD or test.problems else ""


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


_STYLE = """
.bar { display: flex; height: 1.1rem; border-radius: 4px; overflow: hidden; margin: .75rem 0; }
.bar i { display: block; min-width: 2px; }
.pass, .xfail { --c: var(--good); } .fail, .crash, .error, .timeout, .xpass { --c: var(--bad); }
.skip { --c: var(--soft); } .missing { --c: #b08800; }
.bar i { background: var(--c); } b.s { color: var(--c); font-weight: 600; display: inline-block;
  min-width: 4.5em; }
.tree details, .tree .leaf { margin: 0 0 0 1.1rem; } .tree .leaf { padding-left: 1rem; }
.tree > details { margin-left: 0; } .tree summary { padding: .1rem 0; }
.tree pre { margin: .25rem 0 .5rem 1rem; max-height: 24rem; overflow: auto; }
.note { color: var(--soft); } .filters { margin: .5rem 0; display: flex; gap: .5rem; flex-wrap: wrap; }
.filters button { font: inherit; border: 1px solid var(--line); border-radius: 999px;
  background: var(--panel); color: var(--ink); padding: .1rem .8rem; cursor: pointer; }
.filters button[aria-pressed=true] { border-color: var(--accent); color: var(--accent); }
.filters input { font: inherit; padding: .1rem .6rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--paper); color: var(--ink); }
"""

_BODY = """
<h1>{{ title }}</h1>
<p class="soft">{{ summary }}</p>
<div class="bar">{% for name, count in counts %}<i class="{{ name }}" style="flex:{{ count }}"
 title="{{ count }} {{ name }}"></i>{% endfor %}</div>
<div class="filters">
<button data-show="" aria-pressed="true">all {{ total }}</button>
{% for name, count in counts %}<button data-show="{{ name }}" aria-pressed="false">{{ name }}
 {{ count }}</button>{% endfor %}
<input type="search" placeholder="name" aria-label="name">
</div>
{% if bad %}<h2>What is not good</h2><div class="scroll"><table><tbody>
{% for path, test in bad %}<tr><td><b class="s {{ test.status }}">{{ test.status }}</b></td>
<td class="mono">{{ path }}</td><td>{{ test | why }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}
{% if reports %}<h2>What the kernel said of itself</h2><div class="scroll"><table><tbody>
{% for name, line in reports %}<tr><td class="mono">{{ name }}</td><td class="mono">{{ line }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}
<h2>All tests</h2>
<div class="tree">{% for document in documents %}{{ node(document, true) }}{% endfor %}</div>
{% if messages %}<h2>Outside all tests</h2><details><summary>{{ messages | length }} lines</summary>
<pre>{{ messages | excerpt }}</pre></details>{% endif %}
"""

_NODE = """
{% macro node(test, open=false) %}
{% set more = test.subtests or test.messages or test.kernel or test.problems %}
{% if more %}<details data-leaf="{{ 0 if test.subtests else 1 }}" data-status="{{ test.status }}"
 data-name="{{ test.name }}"{% if open %} open{% endif %}><summary>
{% else %}<div class="leaf" data-leaf="1" data-status="{{ test.status }}" data-name="{{ test.name }}">
{% endif %}
<b class="s {{ test.status }}">{{ test.status }}</b> {{ test.name }}
{%- if test.subtests %} <span class="note">{{ test.subtests | length }} tests</span>{% endif %}
{%- if test.seconds is not none %} <span class="note">{{ "%.2f" | format(test.seconds) }} s</span>{% endif %}
{%- if test.reason %} <span class="note">{{ test.reason }}</span>{% endif %}
{%- for note in test.notes %} <span class="note">{{ note }}</span>{% endfor %}
{% if more %}</summary>
{% for problem in test.problems %}<p class="bad">{{ problem }}</p>{% endfor %}
{% for sub in test.subtests %}{{ node(sub) }}{% endfor %}
{% if test.messages %}<pre>{{ test.messages | excerpt }}</pre>{% endif %}
{% if test.kernel %}<details>
<summary class="note">the kernel meanwhile: {{ test.kernel | length }} lines</summary>
<pre>{{ test.kernel | excerpt }}</pre></details>{% endif %}
</details>{% else %}</div>{% endif %}
{% endmacro %}
"""

# Filters hide leaves; a parent is shown while one of its leaves is.
_SCRIPT = """
const leaves = [...document.querySelectorAll('.tree [data-leaf="1"]')];
const parents = [...document.querySelectorAll('.tree [data-leaf="0"]')].reverse();
let wanted = '', text = '';
function apply() {
  for (const leaf of leaves) {
    const path = [];
    for (let n = leaf; n; n = n.parentElement.closest('[data-name]')) path.push(n.dataset.name);
    leaf.hidden = (wanted && leaf.dataset.status !== wanted) ||
      !path.reverse().join('/').toLowerCase().includes(text);
  }
  for (const parent of parents) {
    parent.hidden = !parent.querySelector('[data-leaf="1"]:not([hidden])');
    if (wanted || text) parent.open = !parent.hidden;
  }
}
for (const button of document.querySelectorAll('.filters button')) button.onclick = () => {
  wanted = button.dataset.show;
  document.querySelectorAll('.filters button').forEach(b => b.ariaPressed = b === button);
  apply();
};
document.querySelector('.filters input').oninput = e => { text = e.target.value.toLowerCase(); apply(); };
"""


def _excerpt(lines: Sequence[str]) -> str:
    """The lines as one text; of very many the first and the last, with what was left out said."""
    if len(lines) <= 2 * _SHOWN:
        return "\n".join(lines)
    between = (
        f"... {len(lines) - 2 * _SHOWN:,} lines are left out of this page; --json has them ..."
    )
    return "\n".join([*lines[:_SHOWN], between, *lines[-_SHOWN:]])


def html(log: Log, title: str, bad: Sequence[tuple[str, Test]]) -> str:
    """A page with the counts, what is not good, and the whole tree with filters."""
    counts = log.counts
    templates = environment()
    templates.filters.update(excerpt=_excerpt, why=why)
    body = templates.from_string(_NODE + _BODY).render(
        title=title,
        summary=summary(log),
        counts=[(status.value, counts[status]) for status in ORDER if counts[status]],
        total=counts.total(),
        bad=bad,
        reports=kernel_reports(log),
        documents=log.documents,
        messages=log.messages,
    )
    return page(title, Markup(body), extra_style=_STYLE, script=_SCRIPT)
