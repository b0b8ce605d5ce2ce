"""What the tour shows of profiling."""

import pytest

from ring3.errors import MissingPart
from ring3.report import Embedded, Lines, Table, Text
from ring3.sframe import showcase


def test_a_short_tour():
    said = []
    try:
        text, table, graph, lines = showcase.blocks(said.append, seconds=1.0)
    except MissingPart as error:
        pytest.skip(str(error))
    assert isinstance(text, Text)
    assert isinstance(table, Table)
    rows = {row[0]: row for row in table.rows}
    assert set(rows) == {"frame pointer", "SFrame V2", "SFrame V3", ".eh_frame"}
    assert rows["SFrame V3"][3] == "0.00%"
    assert isinstance(graph, Embedded)
    assert "_PyEval_EvalFrameDefault" in graph.document
    assert isinstance(lines, Lines)
    assert len(lines.text.splitlines()) > 5
    assert said
