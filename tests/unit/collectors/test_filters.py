from __future__ import annotations

import pytest

from katibpy.collectors.filters import FilterParser, compile_filter


def found(text: str, *filters: str, metrics: tuple[str, ...] = ("loss", "accuracy")) -> list[tuple[str, str]]:
    parser = FilterParser(metrics, filters)
    values = [*parser.feed(text.encode(), arrived=1.0), *parser.end(arrived=1.0)]
    return [(value.metric, value.text) for value in values]


def test_the_first_group_is_the_name_and_the_second_the_value() -> None:
    filters = (r"\{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)\}",)
    text = "2024-01-01 INFO {metricName: accuracy, metricValue: 0.9};{metricName: loss, metricValue: 0.1}"
    assert found(text, *filters) == [("accuracy", "0.9"), ("loss", "0.1")]


def test_every_filter_is_applied_to_every_line() -> None:
    assert found("loss: 1 accuracy -> 2\n", r"(\w+): (\d+)", r"(\w+) -> (\d+)") == [
        ("loss", "1"),
        ("accuracy", "2"),
    ]


def test_an_empty_value_is_none() -> None:
    katib_default = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
    assert found("loss=nan accuracy=0.5\n", katib_default) == [("accuracy", "0.5")]


def test_a_value_may_be_any_text() -> None:
    text = "Best-Genotype=Genotype(normal=[('a',0)])\n"
    assert found(text, r"([\w-]+)=(Genotype.*)", metrics=("Best-Genotype",)) == [
        ("Best-Genotype", "Genotype(normal=[('a',0)])")
    ]


def test_names_found_by_a_filter_are_told_wanted_or_not() -> None:
    parser = FilterParser(["loss"], [r"(\w+):(\d+)"])
    parser.feed(b"epoch:1 loss:2\n", arrived=1.0)
    assert parser.seen_names == ("epoch", "loss")


def test_a_filtered_line_has_the_time_it_begins_with() -> None:
    (value,) = FilterParser(["loss"], [r"(\w+):(\d+)$"]).feed(b"2023-11-14T22:13:20Z loss:2\r\n", arrived=1.0)
    assert value.time == 1_700_000_000.0


def test_a_very_long_line_is_left_out_and_counted() -> None:
    parser = FilterParser(["loss"], [r"(\w+)=(\d+)"])
    assert parser.feed(b"loss=1 " * 20_000 + b"\n", arrived=1.0) == []
    assert parser.skipped_lines == 1


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"(?P<name>\w+)=(?P<value>\d+)", "loss=1"),
        (r"(?<name>\w+)=(?<value>\d+)", "loss=1"),
        (r"([[:alpha:]]+)=([[:digit:].]+)\z", "loss=1"),
        (r"(\pL+)=(\pN+)", "loss=1"),
        (r"(\p{L}+)=(\d+)", "loss=1"),
        (r"([a-z]+)\Q[=]\E(\d+)", "loss[=]1"),
        (r"([\w|-]+)\x{3d}(\d+)", "loss=1"),
        (r"([^]=]+)=(\d+)", "loss=1"),
        (r"([[a-z]+)=(\d+)", "loss=1"),
        (r"(?i)(LOSS)=(\d+)", "loss=1"),
        (r"^(\w+)=(\d+)$", "loss=1"),
        (r"([a-z&&||~~-]+)=(\d+)", "loss=1"),
    ],
)
def test_expressions_in_the_syntax_of_go_are_understood(expression: str, text: str) -> None:
    pattern = compile_filter(expression)
    match = pattern.search(text)
    assert match is not None
    assert (match[1].lower(), match[2]) == ("loss", "1")


def test_character_classes_mean_ascii_as_in_go() -> None:
    assert compile_filter(r"(\w+)=(\d+)").search("é=1") is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("([a-z]+)=", "two groups"),
        ("(unclosed=(x)", "must be a regular expression"),
        (r"(\PL+)=(\d+)", r"\PL"),
        (r"(\p{Greek}+)=(\d+)", "Greek"),
        (r"([[:^alpha:]]+)=(\d+)", "[:^alpha:]"),
        (r"(\C)=(\d+)", r"\C"),
        (r"(?U)(a+)=(b+)", "must be a regular expression"),
        (r"(\x{zz})=(\d)", "hexadecimal"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_reason(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        compile_filter(expression)
    assert said in str(caught.value)
