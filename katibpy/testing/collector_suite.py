"""The conformance suite for parsers of metrics: every promise of `katibpy.collectors.parser.Parser`.

A subject knows how its format writes reports; the checks write them, cut the bytes up, spoil them, and
compare what comes back::

    for check in CHECKS:
        check.run(MySubject())
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from katibpy.collectors.parser import SEEN_NAMES_LIMIT, Parser
from katibpy.core.records import ObservedValue

ARRIVED = 1_700_000_000.25
METRICS = ("loss", "val/accuracy")

_LONG = 1 << 20


class BrokenParserError(AssertionError):
    """A parser did not do what the contract says; the message says what it read and what came back."""


class ParserSubject(Protocol):
    """One format under test."""

    def parser(self, metrics: Sequence[str]) -> Parser:
        """A fresh parser for these metrics."""
        ...

    def line(self, metric: str, value: str, *, time: str = "") -> str:
        """How a trial writes one value, with an RFC 3339 time when one is given; without line end."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One promise.

    Attributes:
        name: short name.
        promise: the promise in one sentence.
        run: raises BrokenParserError when it is broken.
    """

    name: str
    promise: str
    run: Callable[[ParserSubject], None]


def read(parser: Parser, pieces: Sequence[bytes]) -> list[ObservedValue]:
    """All values of an output that comes in these pieces."""
    found = [value for piece in pieces for value in parser.feed(piece, arrived=ARRIVED)]
    return [*found, *parser.end(arrived=ARRIVED)]


def _expect(subject: ParserSubject, data: bytes, wanted: Sequence[tuple[str, str]]) -> list[ObservedValue]:
    found = read(subject.parser(METRICS), [data])
    if [(value.metric, value.text) for value in found] != list(wanted):
        raise BrokenParserError(f"{data[:300]!r} holds {list(wanted)}, got {found[:20]}")
    return found


def _sample(subject: ParserSubject) -> tuple[bytes, list[tuple[str, str]]]:
    reports = [
        (name, str(value / 8))
        for value, name in zip(range(12), itertools.cycle((*METRICS, "other")), strict=False)
    ]
    lines = [subject.line(name, value) for name, value in reports]
    lines[3:3] = ["", "starting epoch 1 ...", "\u00e9poch \u2588\u2588"]
    return "\n".join(lines).encode(), [report for report in reports if report[0] in METRICS]


def wanted_values_come_in_order_with_growing_numbers(subject: ParserSubject) -> None:
    """Values of the wanted metrics, and only those, come in the order of the output, numbered from 0."""
    data, wanted = _sample(subject)
    found = _expect(subject, data, wanted)
    if [value.sequence for value in found] != list(range(len(found))):
        raise BrokenParserError(f"sequence numbers must be 0, 1, 2 ..., got {found}")


def pieces_do_not_matter(subject: ParserSubject) -> None:
    """The same bytes give the same values, however they are cut into pieces."""
    data, _ = _sample(subject)
    data = data.replace(b"\n", b"\r\n", 3)
    whole = read(subject.parser(METRICS), [data])
    for size in (1, 2, 3, 7, 64):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        found = read(subject.parser(METRICS), pieces)
        if found != whole:
            raise BrokenParserError(f"in pieces of {size} bytes {data!r} gave {found} instead of {whole}")


def reading_again_gives_the_same(subject: ParserSubject) -> None:
    """A second parser gives the values of the first, under the same numbers."""
    data, _ = _sample(subject)
    first, second = (read(subject.parser(METRICS), [data]) for _ in range(2))
    if first != second:
        raise BrokenParserError(f"two parsers read {first} and {second} in the same output")


def values_without_a_time_arrive_now(subject: ParserSubject) -> None:
    """A value without a time has the one it arrived at; one with a time has that, fraction included."""
    stamped = subject.line("loss", "1", time="2023-11-14T22:13:20.125Z")
    data = f"{stamped}\n{subject.line('loss', '2')}\n".encode()
    times = [value.time for value in _expect(subject, data, [("loss", "1"), ("loss", "2")])]
    if times != [1_700_000_000.125, ARRIVED]:
        raise BrokenParserError(f"{data!r} has the times 1700000000.125 and {ARRIVED}, got {times}")


def numbers_that_are_none_are_kept(subject: ParserSubject) -> None:
    """`nan` and infinities are values."""
    texts = ("NaN", "Infinity", "-Infinity")
    data = "".join(subject.line("loss", text) + "\n" for text in texts).encode()
    _expect(subject, data, [("loss", text) for text in texts])


def an_empty_value_is_none(subject: ParserSubject) -> None:
    """Nothing where the number should be is no value."""
    data = f"{subject.line('loss', '')}\n{subject.line('loss', '1')}\n".encode()
    _expect(subject, data, [("loss", "1")])


def noise_gives_no_values_and_no_errors(subject: ParserSubject) -> None:
    """Bytes that are no text, and lines of another format, are passed by."""
    noise = bytes(range(256)) + b'\n{\n}\n[[[\n"\n=\n= =\n' + bytes(range(255, -1, -1)) + b"\n"
    _expect(subject, noise + subject.line("loss", "1").encode() + b"\n" + noise, [("loss", "1")])


def lines_that_are_too_long_are_counted(subject: ParserSubject) -> None:
    """A line above 1 MiB is left out and counted, and the next one is read."""
    parser = subject.parser(METRICS)
    long = subject.line("loss", "1").encode() + b" " * _LONG
    found = read(parser, [long, b"\n", subject.line("loss", "2").encode()])
    if [value.text for value in found] != ["2"] or parser.skipped_lines != 1:
        raise BrokenParserError(
            f"one line of {len(long)} bytes must be skipped and counted, "
            f"got values {found} and {parser.skipped_lines} skipped lines"
        )


def seen_names_are_told_and_bounded(subject: ParserSubject) -> None:
    """Names that nobody asked for are told in order of appearance, at most 50 of them."""
    parser = subject.parser(("loss",))
    names = [f"metric_{number}" for number in range(200)]
    read(parser, ["".join(subject.line(name, "1") + "\n" for name in names).encode()])
    if parser.seen_names != tuple(names[:SEEN_NAMES_LIMIT]):
        raise BrokenParserError(
            f"the first {SEEN_NAMES_LIMIT} of {names[:60]} must be told, got {parser.seen_names}"
        )


def _check(run: Callable[[ParserSubject], None]) -> Check:
    name = run.__name__.replace("_", "-")
    return Check(name, (run.__doc__ or name).strip().splitlines()[0], run)


CHECKS: Sequence[Check] = tuple(
    map(
        _check,
        (
            wanted_values_come_in_order_with_growing_numbers,
            pieces_do_not_matter,
            reading_again_gives_the_same,
            values_without_a_time_arrive_now,
            numbers_that_are_none_are_kept,
            an_empty_value_is_none,
            noise_gives_no_values_and_no_errors,
            lines_that_are_too_long_are_counted,
            seen_names_are_told_and_bounded,
        ),
    )
)
