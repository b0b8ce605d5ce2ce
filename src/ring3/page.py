"""Self-contained HTML pages with one look: no network, no scripts of others, light and dark.

A page is a title and a body of trusted HTML; everything that comes from outside goes through
:func:`escape` or a Jinja template of :func:`environment`, which escapes by itself.
"""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from ring3.files import write_atomically

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a;
  --line: #d0d7de; --panel: #f6f8fa; --accent: #0b62c4; --good: #1a7f37; --bad: #c2261f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9198a1;
  --line: #30363d; --panel: #161b22; --accent: #58a6ff; --good: #3fb950; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 84rem; background: var(--paper);
  color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.35rem; }
h3 { margin: 1.5rem 0 .4rem; font-size: 1.05rem; } p { max-width: 60rem; }
a { color: var(--accent); } .soft { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
code, pre, .mono { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: .75rem 1rem; overflow-x: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .75rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; } th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; } figure img, figure svg { max-width: 100%; height: auto; }
figcaption { color: var(--soft); } details { margin: .5rem 0; } summary { cursor: pointer; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem;
  margin: 1.5rem 0; } .cards a { color: inherit; text-decoration: none; padding: .25rem 1rem;
  border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
.cards a:hover { border-color: var(--accent); } .cards h3 { margin-top: .6rem; }
.headline b { display: block; font-size: 1.25rem; line-height: 1.3; }
iframe { width: 100%; border: 1px solid var(--line); border-radius: 6px; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src data: 'self'">
<title>{{ title }}</title>
<style>{{ style }}{{ extra_style }}</style>
</head>
<body>
{{ body }}
{% if script %}<script>{{ script }}</script>{% endif %}
</body>
</html>
"""

_TABLE = """<div class="scroll"><table>
<thead><tr>{% for name, kind in columns %}<th class="{{ kind }}">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}<tr>{% for cell in row %}<td class="{{ columns[loop.index0][1] }}">{{ cell }}</td>
{%- endfor %}</tr>
{% endfor %}</tbody></table></div>
"""


def environment() -> Environment:
    """A Jinja environment that escapes every value that is not :class:`markupsafe.Markup`."""
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


def page(title: str, body: Markup, *, extra_style: str = "", script: str = "") -> str:
    """A whole document.  ``extra_style`` and ``script`` are CSS and JavaScript of our own."""
    return (
        environment()
        .from_string(_PAGE)
        .render(
            title=title,
            body=body,
            style=Markup(_STYLE),
            extra_style=Markup(extra_style),
            script=Markup(script),
        )
    )


def table(columns: list[str], rows: list[list[object]]) -> Markup:
    """A table.  A column named ``#NAME`` is shown as NAME and set right, as numbers are."""
    kinds = [(name.lstrip("#"), "n" if name.startswith("#") else "") for name in columns]
    shown = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    return Markup(environment().from_string(_TABLE).render(columns=kinds, rows=shown))


def picture(data: bytes, kind: str, caption: str) -> Markup:
    """A figure with an image of MIME type ``kind`` inside the page."""
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return Markup('<figure><img src="{}" alt="{}"><figcaption>{}</figcaption></figure>').format(
        source, caption, caption
    )


def write_page(path: Path, title: str, body: Markup) -> None:
    """Write a whole document to ``path``, atomically."""
    write_atomically(path, page(title, body))


__all__ = ["Markup", "environment", "escape", "page", "picture", "table", "write_page"]
