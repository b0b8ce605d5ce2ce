"""The flame graph in a real browser: drawn, searched, zoomed, without a network."""

import html
import re
import subprocess
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.sframe import outputs
from ring3.sframe.flamegraph import flame_graph
from ring3.sframe.profile import Function, Profile

NAMES = ["spin", "main", "</script><b>", "operator<<", "[kernel]", "größe<T&>::\"'\u2028日本"]


def profile(stacks: list[tuple[int, ...]], counts: list[int]) -> Profile:
    functions = [Function(name, f"/lib/{n}.so") for n, name in enumerate(NAMES)]
    return Profile("a <title>", functions, stacks, counts, 1e6, "nanoseconds")


MADE = profile([(0, 1), (0, 1, 2), (0, 1, 2, 4), (0, 3), (0, 1, 5)], [5, 30, 20, 40, 5])


def dom(page: str, script: str = "") -> str:
    """The page's elements after its script ran, and ``script`` behind it."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/page.html"
        with open(path, "w") as out:  # noqa: PTH123
            out.write(page.replace("</body>", f"<script>{script}</script></body>"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        options += ["--disable-background-networking", "--disable-component-update"]
        options += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]
        options += [f"--user-data-dir={folder}/profile", "--window-size=1000,800"]
        command = ["chromium", *options, "--dump-dom", f"file://{path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    # What the console says, of a fault in the script or of a host that is looked for.
    assert "CONSOLE" not in done.stderr
    return done.stdout


def boxes(page: str) -> dict[str, tuple[float, str]]:
    """Text before the comma of each box's title -> (width in percent, classes)."""
    found = {}
    graph = page[page.index('id="graph"') :]
    for tag in re.findall(r"<button[^>]*>", graph):
        title = re.search(r'title="([^"]*?) \(|title="([^",]*)', tag)
        width = re.search(r"width: ([\d.]+)%", tag)
        classes = re.search(r'class="([^"]*)"', tag)
        name = html.unescape(title[1] or title[2])
        found[name] = (float(width[1]), classes[1] if classes else "")
    return found


@pytest.mark.oracle
def test_in_a_browser(needs):
    needs("chromium")
    page = flame_graph(MADE)
    drawn = boxes(dom(page))
    assert {name: round(width) for name, (width, _) in drawn.items()} == {
        "all": 100,
        "spin": 100,
        "main": 60,
        "</script><b>": 50,
        "operator<<": 40,
        "[kernel]": 20,
        NAMES[5]: 5,
    }
    searched = dom(page, "search.value = 'operator'; search.oninput();")
    assert [name for name, (_, c) in boxes(searched).items() if "found" in c] == ["operator<<"]
    assert "40.00% of samples match" in searched
    zoom = "[...graph.children].find(box => box.title.startsWith('main')).click();"
    zoomed = boxes(dom(page, zoom))
    assert round(zoomed["main"][0]) == 100
    assert round(zoomed["</script><b>"][0]) == 83
    assert "operator<<" not in zoomed
    assert "above" in zoomed["spin"][1]
    assert boxes(dom(flame_graph(profile([], [])), "search.value = 'a'; search.oninput();")) == {
        "all": (100, "found")
    }


def test_nothing_in_it_ends_the_script():
    page = flame_graph(MADE)
    assert page.count("</script>") == 1
    assert "<b>" not in page
    assert "a &lt;title&gt;" in page


stacks = st.lists(
    st.tuples(st.lists(st.integers(0, len(NAMES) - 1), min_size=1, max_size=40), st.integers(1, 9))
)


@given(stacks)
def test_every_format_keeps_every_sample(made):
    one = profile([tuple(stack) for stack, _ in made], [count for _, count in made])
    total = sum(count for _, count in made)
    lines = outputs.collapsed(one).splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == total
    for make in outputs.FORMATS.values():
        assert isinstance(make(one), str | bytes)


def test_a_very_deep_stack():
    deep = profile([tuple([0, 1] * 500)], [3])
    assert "3 samples" in flame_graph(deep)
