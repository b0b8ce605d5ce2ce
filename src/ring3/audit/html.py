"""Findings as one HTML page: filter, open a finding, click through its chain to the source lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ring3.audit.findings import LEVELS, RULES, Finding, Step
from ring3.audit.report import summary
from ring3.audit.run import Report
from ring3.page import Markup, environment, page, table

#: Lines shown before and after a step.
_AROUND = 3

_FINDINGS = """<p><input id="filter" placeholder="filter: fs/ext4, s_lock, error ..." size="40"></p>
{% for one in findings %}
<details class="finding" id="{{ one.id }}"><summary>
<span class="{{ 'bad' if one.level == 'error' else 'soft' }}">{{ one.level }}</span>
<code>{{ one.at.file }}:{{ one.at.line }}</code> {{ one.message }}
<span class="soft">{{ one.rule }} {{ one.id }}</span></summary>
<p>{{ rules[one.rule].title }}. {{ rules[one.rule].help }}</p>
{% for title, steps in chains(one) %}<h3>{{ title }}</h3><ol>
{% for step in steps %}<li><details><summary><code>{{ step.function }}</code>
<span class="soft">{{ step.file }}:{{ step.line }}</span> &rarr; <code>{{ step.call }}</code>
{% if step.note %}<span class="note">{{ step.note }}</span>{% endif %}</summary>
{{ source(step) }}</details></li>{% endfor %}</ol>{% endfor %}
<p>Why it is believed:</p><ul>{% for reason in one.why %}<li>{{ reason }}</li>{% endfor %}</ul>
</details>{% endfor %}"""

_SCRIPT = """
const box = document.getElementById('filter');
box.addEventListener('input', () => {
  const words = box.value.toLowerCase().split(/\\s+/);
  for (const one of document.querySelectorAll('.finding')) {
    const text = one.firstElementChild.textContent.toLowerCase();
    one.style.display = words.every(word => text.includes(word)) ? '' : 'none';
  }
});
const wanted = location.hash && document.getElementById(location.hash.slice(1));
if (wanted) wanted.open = true;
"""

_STYLE = """
.finding { border-bottom: 1px solid var(--line); padding: .3rem 0; } ol { padding-left: 1.6rem; }
.note { background: var(--panel); border-radius: 4px; padding: 0 .35rem; font-size: .85em; }
mark { background: none; color: var(--accent); font-weight: 700; }
"""


def findings_page(report: Report, findings: Iterable[Finding]) -> str:
    """The page of ``findings``, with the source lines of every step that can still be read."""
    shown = list(findings)
    sources: dict[str, list[str]] = {}
    counts = Counter((one.rule, one.level) for one in shown)
    rows: list[list[object]] = [
        [RULES[rule].title, level, count]
        for (rule, level), count in sorted(
            counts.items(), key=lambda row: (LEVELS.index(row[0][1]), RULES[row[0][0]].rank)
        )
    ]
    body = Markup("<h1>Reclaim audit</h1><p class='soft'>{} &middot; {}</p>").format(
        str(report.root), summary(report)
    )
    body += table(["Rule", "Level", "#Findings"], rows)
    body += Markup(
        environment()
        .from_string(_FINDINGS)
        .render(
            findings=shown,
            rules=RULES,
            chains=_chains,
            source=lambda step: _source(report, step, sources),
        )
    )
    whole = page("Reclaim audit", body, extra_style=_STYLE, script=_SCRIPT)
    return whole.encode("utf-8", "replace").decode()  # a file's name may be no text


def _chains(one: Finding) -> list[tuple[str, tuple[Step, ...]]]:
    chains = [("The way to the allocation" if one.other else "The way from reclaim", one.chain)]
    return [*chains, ("How reclaim takes the lock", one.other)] if one.other else chains


def _source(report: Report, step: Step, sources: dict[str, list[str]]) -> Markup:
    if step.file not in sources:
        try:
            data = report.overlay.get(step.file)
            data = (report.root / step.file).read_bytes() if data is None else data
        except OSError:
            data = b""
        sources[step.file] = data.decode(errors="replace").split("\n")
    lines = sources[step.file]
    first = max(0, step.line - 1 - _AROUND)
    shown = Markup("")
    for number, line in enumerate(lines[first : step.line + _AROUND], first + 1):
        text = Markup("{:>6}  {}\n").format(number, line)
        shown += Markup("<mark>{}</mark>").format(text) if number == step.line else text
    return Markup("<pre>{}</pre>").format(shown)
