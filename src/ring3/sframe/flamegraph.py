"""A flame graph as one HTML file: opens offline, zooms, searches, light and dark."""

from __future__ import annotations

import json

from markupsafe import Markup

from ring3.page import page
from ring3.sframe.profile import INCOMPLETE, Profile

_LEAST = 1 / 20000  # narrower frames can never be seen, and are left out with what is above them

_STYLE = """
body { max-width: none; padding: 1rem 1.25rem; }
h1 { font-size: 1.2rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#bar { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; margin: .5rem 0; }
#bar input { font: inherit; padding: .25rem .5rem; min-width: 18rem; color: var(--ink);
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
#bar button { font: inherit; padding: .25rem .75rem; color: var(--ink); background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
#graph { position: relative; width: 100%; overflow: hidden; }
#graph button { position: absolute; height: 18px; padding: 0 3px; border: 0; border-radius: 2px;
  font: 12px/18px ui-monospace, "DejaVu Sans Mono", monospace; text-align: left; overflow: hidden;
  white-space: nowrap; cursor: pointer; color: #101418; box-shadow: inset 0 0 0 .5px var(--paper);
  background: hsl(var(--hue) 65% 68%); }
@media (prefers-color-scheme: dark) { #graph button { color: #f0f3f6;
  background: hsl(var(--hue) 42% 34%); } }
#graph button.plain { --hue: 215; filter: saturate(.25); }
#graph button.found { background: #d33cc0; color: #fff; }
#graph button.above { opacity: .55; }
#graph button:hover, #graph button:focus-visible { outline: 2px solid var(--accent);
  outline-offset: -2px; z-index: 1; }
#about { min-height: 1.6em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
"""

_BODY = """<h1>{title}</h1>
<div id="bar"><input id="search" type="search" placeholder="search (regular expression)"
 aria-label="search"> <button id="reset">whole graph</button> <button id="turn">turn over</button>
 <span class="soft" id="hits"></span></div>
<div id="about" class="mono soft">{samples} samples{incomplete}</div>
<div id="graph"></div>
<noscript>The graph is drawn by the script inside this file.</noscript>
"""

# nodes is depth, name and own samples of each frame, parents before children; names are [function, file].
_SCRIPT = """
"use strict";
const {names, nodes} = DATA, ROW = 19;
const graph = document.getElementById("graph"), about = document.getElementById("about");
const search = document.getElementById("search"), hits = document.getElementById("hits");
const idle = about.textContent;
let zoomed, pattern = null, flames = false;

function grow() {
  const made = [], path = [];
  for (let at = 0; at < nodes.length; at += 3) {
    const depth = nodes[at], [name, file] = names[nodes[at + 1]], parent = path[depth - 1] ?? null;
    const node = {name, file, parent, depth, children: [], total: nodes[at + 2]};
    path[depth] = node;
    if (parent) parent.children.push(node);
    made.push(node);
  }
  for (const node of made.slice(1).reverse()) node.parent.total += node.total;
  return made[0];
}
function hue(text) {
  let value = 7;
  for (const char of text) value = (value * 31 + char.codePointAt(0)) % 3600;
  return 15 + value % 330;
}
function percent(value, of) { return (of && 100 * value / of).toFixed(2) + "%"; }
function words(node) {
  const file = node.file ? " (" + node.file + ")" : "";
  return node.name + file + ", " + node.total.toLocaleString() + " samples, "
    + percent(node.total, top_.total) + " of all, " + percent(node.total, zoomed.total) + " of shown";
}
function draw() {
  const boxes = [], width = graph.clientWidth;
  let deepest = 0;
  function place(node, left, span, above) {
    if (span * width < 0.6) return;
    deepest = Math.max(deepest, node.depth);
    boxes.push([node, left, span, above]);
    let at = left;
    for (const child of node.children) {
      const part = above ? (leadsTo(child) ? span : 0) : span * child.total / node.total;
      if (part) place(child, at, part, above && child !== zoomed);
      at += part;
    }
  }
  function leadsTo(node) {
    for (let at = zoomed; at; at = at.parent) if (at === node) return true;
    return false;
  }
  place(top_, 0, 1, zoomed !== top_);
  const height = (deepest + 1) * ROW;
  graph.style.height = height + "px";
  graph.replaceChildren(...boxes.map(([node, left, span, above]) => {
    const box = document.createElement("button");
    const row = flames ? deepest - node.depth : node.depth;
    box.style.left = 100 * left + "%";
    box.style.width = 100 * span + "%";
    box.style.top = row * ROW + "px";
    box.style.setProperty("--hue", hue(node.file || node.name));
    if (span * width > 30) box.textContent = node.name;
    box.title = words(node);
    if (node.name.startsWith("[")) box.classList.add("plain");
    if (above) box.classList.add("above");
    if (pattern && pattern.test(node.name)) box.classList.add("found");
    box.onclick = () => { zoomed = node; draw(); };
    box.onmouseenter = box.onfocus = () => { about.textContent = words(node); };
    return box;
  }));
}
function count(node) {
  if (pattern.test(node.name)) return node.total;
  return node.children.reduce((sum, child) => sum + count(child), 0);
}
search.oninput = () => {
  try { pattern = search.value ? new RegExp(search.value, "i") : null; }
  catch { pattern = null; hits.textContent = "not a regular expression"; return; }
  hits.textContent = pattern ? percent(count(top_), top_.total) + " of samples match" : "";
  draw();
};
document.getElementById("reset").onclick = () => { zoomed = top_; draw(); };
document.getElementById("turn").onclick = () => { flames = !flames; draw(); };
graph.onmouseleave = () => { about.textContent = idle; };
document.onkeydown = (event) => {
  if (event.key === "Escape") { zoomed = top_; draw(); }
  if (event.key === "/" && event.target !== search) { search.focus(); event.preventDefault(); }
};
window.onresize = draw;
const top_ = grow();
zoomed = top_;
draw();
"""


class _Node:
    """A frame in the tree: how many samples ended in it, and what was called from it."""

    __slots__ = ("children", "own", "total")

    def __init__(self) -> None:
        self.own = 0
        self.total = 0
        self.children: dict[int, _Node] = {}


def flame_graph(profile: Profile) -> str:
    """The whole document.  Functions are joined by name and file; widths are samples."""
    root = _Node()
    for stack, count in zip(profile.stacks, profile.counts, strict=True):
        node = root
        node.total += count
        for function in stack:
            node = node.children.setdefault(function, _Node())
            node.total += count
        node.own += count
    names: dict[tuple[str, str], int] = {("all", ""): 0}
    nodes = _encode(profile, root, names, root.total * _LEAST)
    data = {"nodes": nodes, "names": list(names)}
    # Inside a script nothing may look like its end.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    stopped = sum(
        count
        for stack, count in zip(profile.stacks, profile.counts, strict=True)
        if len(stack) > 1 and profile.functions[stack[1]].name == INCOMPLETE
    )
    incomplete = f", {stopped} of them with an incomplete stack" if stopped else ""
    body = Markup(_BODY).format(
        title=profile.title, samples=f"{profile.total:,}", incomplete=incomplete
    )
    title = f"{profile.title} - flame graph"
    return page(title, body, extra_style=_STYLE, script=f"const DATA = {text};{_SCRIPT}")


def _encode(
    profile: Profile, root: _Node, names: dict[tuple[str, str], int], least: float
) -> list[int]:
    """The tree as the script reads it: (depth, name, own samples) of each frame, parents first."""
    out: list[int] = []
    work = [(0, 0, root)]
    while work:
        depth, name, node = work.pop()
        shown = {n: child for n, child in node.children.items() if child.total >= least}
        hidden = sum(child.total for n, child in node.children.items() if n not in shown)
        out += (depth, name, node.own + hidden)
        by_name = sorted(shown, key=lambda n: (profile.functions[n].name, n), reverse=True)
        for function in by_name:
            about = profile.functions[function]
            number = names.setdefault((about.name, about.file), len(names))
            work.append((depth + 1, number, shown[function]))
    return out
