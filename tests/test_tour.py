"""The tour's page: self-contained, its headlines on top, a missing part named and not fatal."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ring3 import tour
from ring3.errors import MissingPart
from ring3.report import Headline, LeftOut, Picture, Table

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def works(say):
    say("working")
    yield Headline("3 of 4", "things <work>")
    yield Table("Things", ("name", "#count"), [("a", 1234)])
    yield Picture("thing.svg", SVG, "image/svg+xml", "A thing")


def breaks(say):
    yield Headline("1", "thing")
    raise MissingPart("no such part", remedy="apt-get install part")


def told(run):
    return tour.tell(tour.Chapter(run.__name__, "a | b", "about", run), lambda what: None)


class Page(HTMLParser):
    """What a page refers to, and the targets it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.targets, self.sources = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.links += [names["href"]] if "href" in names else []
        self.sources += [names["src"]] if "src" in names else []
        self.targets += [names["id"]] if "id" in names else []


def test_the_page_needs_nothing_else(tmp_path):
    index = tour.write([told(works), told(breaks)], tmp_path)
    text = index.read_text()
    page = Page(text)
    assert page.links == ["#works", "#breaks"]
    assert page.targets == ["works", "breaks"]
    assert all(source.startswith("data:") for source in page.sources) and page.sources
    assert "things &lt;work&gt;" in text and "1,234" in text
    assert re.search(r"Content-Security-Policy.*default-src 'none'", text)
    assert (tmp_path / "thing.svg").read_bytes() == SVG


def test_a_missing_part_is_said_with_its_remedy():
    blocks = told(breaks).blocks
    assert blocks[0] == Headline("1", "thing")
    assert blocks[1] == LeftOut("the rest of breaks", "no such part", "apt-get install part")
