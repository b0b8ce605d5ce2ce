"""The page of the comparison: what a reader must find on it, and that every link on it leads somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from click.testing import CliRunner

from ring3.cli.reclaim import reclaim
from ring3.reclaim import explore
from ring3.reclaim.scenarios import REPORTS


class _Page(HTMLParser):
    """Ids, links, text, and whether tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page(tmp_path: Path) -> None:
    path = tmp_path / "policies.html"
    scenarios = ("fat-linked-direct", "overlay-ext4-kswapd", "xfs-linked-kswapd")
    arguments = ["compare", "as-today", "may-fail", "i-reclaim-hard", "--seeds", "0"]
    for name in scenarios:
        arguments += ["--scenario", name]
    done = CliRunner().invoke(reclaim, [*arguments, "--workers", "2", "--html", str(path)])
    assert done.exit_code == 0, done.output
    page = _Page(path.read_text())
    assert page.open == []
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert page.ids >= {"reports", "policies", "where", "as-today", "may-fail", "i-reclaim-hard"}
    for name in (*REPORTS, *scenarios):
        assert name in page.text
    # Every counterexample replays to what it says.
    shown = re.findall(r"ring3 reclaim explore (\S+) --replay (\S+)", page.text)
    assert {policy for policy, _ in shown} >= {"as-today", "may-fail"}
    for policy, name in shown:
        assert explore.replay(policy, name).failures, name
