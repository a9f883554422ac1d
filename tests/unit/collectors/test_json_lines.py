from __future__ import annotations

import pytest

from katibpy.collectors.json_lines import JsonLinesParser
from katibpy.core.records import ObservedValue

ARRIVED = 5.0


def values(text: str | bytes, *metrics: str) -> list[ObservedValue]:
    parser = JsonLinesParser(metrics or ("loss",))
    data = text.encode() if isinstance(text, str) else text
    return [*parser.feed(data, arrived=ARRIVED), *parser.end(arrived=ARRIVED)]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("0.5", "0.5"),
        ('"0.5"', "0.5"),
        ("1.0", "1.0"),
        ("1e-30", "1e-30"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('" 0.25 "', "0.25"),
    ],
)
def test_numbers_and_strings_are_values_as_they_are_written(written: str, text: str) -> None:
    (value,) = values(f'{{"loss": {written}}}\n')
    assert (value.metric, value.text, value.time) == ("loss", text, ARRIVED)
    assert type(value.text) is str


@pytest.mark.parametrize("written", ["null", "true", "[1]", '{"a": 1}', '""'])
def test_other_things_are_no_values(written: str) -> None:
    assert values(f'{{"loss": {written}}}\n') == []


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1638422847.287801", 1638422847.287801),
        ('"1638422847.5"', 1638422847.5),
        ("1638422847", 1638422847.0),
        ('"2021-12-02T05:27:27.287801Z"', 1638422847.287801),
        ('"2021-12-02T06:27:27+01:00"', 1638422847.0),
        ("NaN", ARRIVED),
        ("1e300", ARRIVED),
        ('"yesterday"', ARRIVED),
        ("null", ARRIVED),
    ],
)
def test_the_timestamp_is_read_with_its_fraction(written: str, seconds: float) -> None:
    (value,) = values(f'{{"timestamp": {written}, "loss": 1}}\n')
    assert value.time == pytest.approx(seconds, abs=1e-6)


def test_the_step_is_kept() -> None:
    found = values('{"loss": 1, "step": 7}\n{"loss": 1, "step": 7.5}\n{"loss": 1, "step": "x"}\n')
    assert [value.step for value in found] == [7, None, None]


def test_bad_lines_are_passed_by_and_counted() -> None:
    parser = JsonLinesParser(["loss"])
    text = b'{"loss": 1}\n{"loss": \n[1]\n\n"x"\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"loss": 2}\r\n'
    assert [value.text for value in parser.feed(text, arrived=ARRIVED)] == ["1", "2"]
    assert parser.skipped_lines == 5


def test_keys_with_numbers_are_told_wanted_or_not() -> None:
    parser = JsonLinesParser(["loss"])
    parser.feed(
        b'{"epoch": 1, "note": "x", "accuracy": 0.5, "timestamp": 3, "loss": "0.1"}\n', arrived=ARRIVED
    )
    assert parser.seen_names == ("epoch", "accuracy", "loss")
