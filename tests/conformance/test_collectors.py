from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from katibpy.api.experiment import (
    Collector,
    FileSystemPath,
    Filter,
    MetricsCollectorSpec,
    MetricsSource,
)
from katibpy.collectors.catalog import ROWS, Row, parser_for
from katibpy.collectors.parser import Parser
from katibpy.testing.collector_suite import ARRIVED, CHECKS, METRICS, Check, ParserSubject, read

FILTER = r"<([\w/|-]+)>\s*([^<\s]*)"


class CatalogSubject:
    """A row of the catalogue, with or without a filter of the user."""

    def __init__(self, row: Row, *, has_filter: bool = False) -> None:
        self._row = row
        self._has_filter = has_filter

    def parser(self, metrics: Sequence[str]) -> Parser:
        filters = Filter(metrics_format=(FILTER,)) if self._has_filter else None
        path = FileSystemPath(path="/metrics", kind="File", format=self._row.format)
        source = MetricsSource(filter=filters, file_system_path=path if self._row.reads_file else None)
        spec = MetricsCollectorSpec(collector=Collector(kind=self._row.kind), source=source)
        return parser_for(spec, metrics)

    def line(self, metric: str, value: str, *, time: str = "") -> str:
        if self._row.name == "json":
            return json.dumps({"timestamp": time} if time else {}, separators=(",", ":"))[:-1] + (
                f'{"," if time else ""}"{metric}":{value or json.dumps("")}}}'
            )
        said = f"<{metric}> {value}" if self._has_filter else f"{metric} = {value}"
        return f"{time} {said}" if time else said


SUBJECTS: dict[str, ParserSubject] = {row.name: CatalogSubject(row) for row in ROWS}
SUBJECTS |= {
    f"{row.name}-filtered": CatalogSubject(row, has_filter=True) for row in ROWS if row.name != "json"
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", SUBJECTS)
def test_parser_keeps_its_promise(name: str, check: Check) -> None:
    check.run(SUBJECTS[name])


WORDS = st.sampled_from(
    b"""loss val/accuracy = 0.5 -1e3 nan inf 1. _ < > { } " : , timestamp [ \\""".split(b" ")
).filter(bool) | st.sampled_from(
    [b" ", b"\n", b"\r", b"\r\n", b"\xff", b"\x00", b"\x1b[1m", b"2023-11-14T22:13:20.5Z"]
)
OUTPUTS = st.lists(st.one_of(WORDS, st.binary(max_size=8)), max_size=60).map(b"".join)


@pytest.mark.parametrize("name", SUBJECTS)
@given(data=OUTPUTS, cuts=st.lists(st.integers(0, 400), max_size=12))
@example(data=b"loss=1\r\nloss=2", cuts=[7])
def test_any_bytes_in_any_pieces_give_the_same_values(name: str, data: bytes, cuts: list[int]) -> None:
    whole = read(SUBJECTS[name].parser(METRICS), [data])
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(bounds)]
    assert read(SUBJECTS[name].parser(METRICS), pieces) == whole
    text = data.decode(errors="replace")
    for value in whole:
        assert value.metric in METRICS
        assert value.text
        assert value.time == ARRIVED or "2023" in text or "timestamp" in text
