from __future__ import annotations

import math

import pytest

from katibpy.collectors.text import TextParser

ARRIVED = 1_700_000_000.5


def found(text: str | bytes, *metrics: str) -> list[tuple[str, str]]:
    parser = TextParser(metrics or ("loss",))
    data = text.encode() if isinstance(text, str) else text
    values = [*parser.feed(data, arrived=ARRIVED), *parser.end(arrived=ARRIVED)]
    assert [value.sequence for value in values] == list(range(len(values)))
    return [(value.metric, value.text) for value in values]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("loss=0.3", "0.3"),
        ("loss = 0.3", "0.3"),
        ("loss\t=\t-0.3", "-0.3"),
        ("loss=.98", ".98"),
        ("loss=1.", "1."),
        ("loss=+1e-5", "+1e-5"),
        ("loss=1.e5 next", "1.e5"),
        ("loss=nan", "nan"),
        ("loss=NaN,", "NaN"),
        ("loss=-inf", "-inf"),
        ("loss=Infinity)", "Infinity"),
        ("{loss=0.25}", "0.25"),
        ("epoch 3: loss=0.5, accuracy=1", "0.5"),
        ("val/loss=0.5", "0.5"),
        ("loss=95%", "95"),
        ("loss=0.5\r", "0.5"),
        ("loss=0.5.", "0.5"),
    ],
)
def test_a_number_after_the_name_is_a_value(line: str, text: str) -> None:
    assert found(line) == [("loss", text)]
    assert math.isnan(float(text)) or float(text) is not None


@pytest.mark.parametrize(
    "line",
    [
        "loss=",
        "loss= ",
        "loss=-",
        "loss=.",
        "loss=None",
        "loss=infra",
        "loss=nano",
        "loss=inf_1",
        "loss: 0.3",
        "loss 0.3",
        "train-loss=1",
        "my_loss=1",
        "|loss=1",
        "losses=1",
        "loss=1_000",
        "loss=12_000.5",
        "loss=0x1F",
        "loss=\n1",
        "loss\n=1",
    ],
)
def test_what_is_no_number_of_the_metric_is_no_value(line: str) -> None:
    assert found(line) == []


def test_a_name_with_a_slash_is_found_whole_and_before_its_last_part() -> None:
    assert found("train/loss=2 val/loss=1 loss=3", "loss", "val/loss") == [
        ("loss", "2"),
        ("val/loss", "1"),
        ("loss", "3"),
    ]


def test_names_with_signs_of_regular_expressions_are_taken_literally() -> None:
    assert found("mAP@0.5=1 mAP@0x5=2 a+b=3 aab=4 f1 (macro)=5", "mAP@0.5", "a+b", "f1 (macro)") == [
        ("mAP@0.5", "1"),
        ("a+b", "3"),
        ("f1 (macro)", "5"),
    ]


def test_progress_bars_that_only_return_the_carriage_are_read_line_by_line() -> None:
    assert found("\r10%|# | loss=0.5\r20%|## | loss=0.4\r") == [("loss", "0.5"), ("loss", "0.4")]


def test_the_last_line_needs_no_line_end() -> None:
    parser = TextParser(["loss"])
    assert parser.feed(b"loss=0.", arrived=ARRIVED) == []
    assert parser.feed(b"43", arrived=ARRIVED) == []
    assert [value.text for value in parser.end(arrived=ARRIVED)] == ["0.43"]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.25Z", 1_700_000_000.25),
        ("2023-11-15T00:13:20.123456789+02:00", 1_700_000_000.123456789),
    ],
)
def test_a_line_that_begins_with_a_time_has_it(stamp: str, seconds: float) -> None:
    parser = TextParser(["loss"])
    values = parser.feed(f"noise\r\n{stamp} loss=1 loss=2\nloss=3\n".encode(), arrived=ARRIVED)
    assert [value.time for value in values] == [pytest.approx(seconds, abs=1e-6)] * 2 + [ARRIVED]


@pytest.mark.parametrize(
    "stamp", ["2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20", "20231114T221320Z"]
)
def test_other_beginnings_are_no_times(stamp: str) -> None:
    (value,) = TextParser(["loss"]).feed(f"{stamp} loss=1\n".encode(), arrived=ARRIVED)
    assert value.time == ARRIVED


def test_binary_noise_around_values_is_passed_by() -> None:
    assert found(b"\x00\xff\xfe=\x80\nloss=0.5\xff\n\x1b[1mloss=0.25\x1b[0m\n") == [
        ("loss", "0.5"),
        ("loss", "0.25"),
    ]


def test_a_line_that_is_too_long_is_left_out_and_counted() -> None:
    parser = TextParser(["loss"])
    values = []
    for _ in range(40):
        values += parser.feed(b"loss=1 " * 10_000, arrived=ARRIVED)
    values += parser.feed(b"\nloss=2\n", arrived=ARRIVED)
    assert [value.text for value in values] == ["2"]
    assert parser.skipped_lines == 1


def test_names_that_nobody_asked_for_are_told() -> None:
    parser = TextParser(["loss"])
    parser.feed(b"epoch=1 val/accuracy = 0.5 text=abc\nloss_total=3\n", arrived=ARRIVED)
    assert parser.seen_names == ("epoch", "val/accuracy", "loss_total")


@pytest.mark.parametrize(
    "line",
    [b"a" * 900_000, b" " * 900_000, b"loss" * 200_000, b"loss=" * 180_000, b"1" * 900_000, b"=" * 900_000],
)
def test_lines_made_to_be_slow_take_linear_time(line: bytes) -> None:
    # Quadratic time would be minutes, far beyond what a test may take.
    assert TextParser(["loss", "val/loss"]).feed(line + b"\n", arrived=ARRIVED) == []
