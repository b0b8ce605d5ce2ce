"""The comparison as one page: the problem, which policy fails where, and a counterexample of each failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ring3.page import Markup, environment, page
from ring3.reclaim.compare import rows, tables
from ring3.reclaim.explore import Counterexample, Exploration, interleaving, replay
from ring3.reclaim.outcome import KINDS, Figures, run
from ring3.reclaim.policies import POLICIES
from ring3.reclaim.scenarios import REPORTS, SCENARIOS, scenario
from ring3.report import to_html

#: What a run shows, in a word for the matrix, and what that means.
MEANINGS = {
    "deadlock": "a task sleeps for ever, or waits under PF_MEMALLOC for memory, where it cannot reclaim any",
    "livelock": "an allocation reclaims again and again and nothing comes of it",
    "panic": "out of memory, and nobody is left to kill",
    "leak": "inodes that nobody uses stay in memory until the filesystem is unmounted",
    "warn": "an allocation that must not fail is made under PF_MEMALLOC; often the reserves still help",
    "oom": "the OOM killer kills a task",
}

_BODY = """<h1>Filesystems inside memory reclaim</h1>
<p>When memory is short, an allocation reclaims: it shrinks the caches of inodes, among others, before it
goes on. Some inodes need memory to be evicted: a block that says where the file lies, an entry in a journal.
<b>So an allocation is made inside another's reclaim.</b> It may not reclaim itself (the task is under
<code>PF_MEMALLOC</code>), and since eviction cannot fail, it must not fail either
(<code>__GFP_NOFAIL</code>). It lives on the reserves, and waits for ever when those are gone. Linux warns
of it.</p>
<p>Each proposal against it is a policy here. All run in a simulated kernel, on small machines whose memory
is nearly used up, with tasks in turn and in random order. What happened there is on this page; nothing else
is claimed.</p>

<h2 id="reports">The three reports, today</h2>
<p>Two came from fuzzers and one from a real workload. Each is a scenario, and warns as the kernel did; read
the stacks from the bottom up.</p>
{% for one in reports %}<details{{ ' open' if loop.first else '' }}><summary><code>{{ one.name }}</code>
{{ one.title }}</summary><pre>{{ one.warn }}</pre></details>{% endfor %}

<h2 id="policies">The policies</h2>
{{ figures }}

<h2 id="where">Which policy fails where</h2>
<p>The worst that any run showed. A policy's name leads to what it changes, and to schedules under which it
fails.</p>
<ul>{% for kind, meaning in meanings.items() %}<li><b>{{ kind }}</b>: {{ meaning }}</li>{% endfor %}</ul>
<div class="scroll"><table class="matrix"><thead><tr><th>scenario</th>
{% for name in policies %}<th><a href="#{{ name }}">{{ name }}</a></th>{% endfor %}</tr></thead>
<tbody>{% for scenario, cells in matrix %}<tr><td>
<code title="{{ scenario.title }}">{{ scenario.name }}</code></td>
{% for kind, policy in cells %}<td>{% if kind %}<a class="{{ 'soft' if kind == 'oom' else 'bad' }}"
href="#{{ policy }}">{{ kind }}</a>{% else %}<span class="good">&#10003;</span>{% endif %}</td>
{% endfor %}</tr>{% endfor %}</tbody></table></div>

{% for one in sections %}<h2 id="{{ one.name }}">{{ one.name }}</h2>
<p>{{ one.reading }}. <span class="soft">{{ one.source }}</span></p>
{% if one.examples %}{% for each in one.examples %}<details{{ ' open' if loop.first else '' }}><summary>
<b class="bad">{{ each.kind }}</b> in <code>{{ each.scenario }}</code>: {{ each.message }}</summary>
<p>Again: <code>ring3 reclaim explore {{ one.name }} --replay {{ each.name }}</code></p>
<pre>{{ each.steps }}</pre></details>{% endfor %}
{% else %}<p>Nothing went wrong in {{ one.schedules }} schedules that were searched.</p>{% endif %}
<p class="soft">{{ one.schedules }} schedules searched.</p>{% endfor %}
"""

_STYLE = """
.matrix td, .matrix th { padding: .2rem .45rem; font-size: .85rem; } .matrix a { text-decoration: none; }
.matrix code { white-space: nowrap; }
.matrix th:first-child, .matrix td:first-child { position: sticky; left: 0; background: var(--paper); }
@media (max-width: 40rem) { .matrix th:first-child, .matrix td:first-child { position: static; } }
summary { overflow-wrap: anywhere; } p code { overflow-wrap: anywhere; }
"""

#: Of a counterexample that is longer, the first and last lines are shown.
_LONG = 120


def comparison_page(cells: Sequence[Figures], searched: Sequence[Exploration]) -> str:
    """The page of what ``compare`` ran, and of what a search for each policy's counterexamples found."""
    policies = list(dict.fromkeys(cell.policy for cell in cells))
    worst: dict[tuple[str, str], str] = {}
    for cell in cells:
        key = cell.scenario, cell.policy
        worst[key] = min(worst.get(key, ""), next(iter(cell.kinds), ""), key=_rank)
    names = dict.fromkeys(cell.scenario for cell in cells)
    body = (
        environment()
        .from_string(_BODY)
        .render(
            reports=[_report(name) for name in REPORTS],
            figures=to_html(tables(rows(cells))),
            meanings=MEANINGS,
            policies=policies,
            matrix=[(scenario(n), [(worst[n, p], p) for p in policies]) for n in names],
            sections=[_section(result) for result in searched],
        )
    )
    return page("Filesystems inside memory reclaim", Markup(body), extra_style=_STYLE)


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind else len(KINDS)


def _report(name: str) -> dict[str, str]:
    warn = run(SCENARIOS[name], POLICIES["as-today"]()).nofail_warns[0]
    return {"name": name, "title": SCENARIOS[name].title, "warn": str(warn)}


def _section(result: Exploration) -> dict[str, object]:
    kind = POLICIES[result.policy]
    found = [result.found[one] for one in KINDS if one in result.found]
    return {
        "name": result.policy,
        "reading": kind.reading[:1].upper() + kind.reading[1:],
        "source": f"Proposed by: {kind.source}" if result.policy != "as-today" else kind.source,
        "schedules": f"{result.schedules:,}",
        "examples": list(_examples(result.policy, found)),
    }


def _examples(policy: str, found: Iterable[Counterexample]) -> Iterable[dict[str, str]]:
    for one in found:
        lines = interleaving(policy, one.name).split("\n")
        if len(lines) > _LONG:
            left_out = f"\n      ... {len(lines) - _LONG:,} lines ...\n"
            lines = [*lines[: _LONG // 2], left_out, *lines[-_LONG // 2 :]]
        warns = replay(policy, one.name).warns if one.kind == "warn" else ()
        yield {
            "kind": one.kind,
            "scenario": one.scenario,
            "message": one.message,
            "name": one.name,
            "steps": "\n".join([*lines, *(f"\n{warn}" for warn in warns[:1])]),
        }
