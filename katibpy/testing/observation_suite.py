"""The conformance suite for observation stores: every promise of `katibpy.ports.ObservationStore`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from katibpy.core.records import UNAVAILABLE, MetricSummary, ObservedValue, number_of
from katibpy.ports import ObservationStore
from katibpy.testing.store_cases import require

TEXTS = (
    *("0.990", "0.99", "1", "1.0", "1e-5", "1e-05", "+3", "007", " 2.5 ", "-0.0", "0", "-0", "1e400"),
    *("nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1_000", "", "word", "0x10", "\u0661", "5e-324"),
    *("0.1", "0.10000000000000001", "123456789.123456789", "3.0000000000000001", "1.7976931348623157e308"),
    *("x" * 10_000, "\u00e9\U0001f600"),
)
"""Values as trials write them: numbers spelt in many ways, what is not finite, what is no number."""


def values_come_back_as_written(store: ObservationStore) -> None:
    """Texts, times and steps are kept exactly, whatever they spell."""
    given = [
        ObservedValue(index, "m", text, 1.75e9 + index / 7, index if index % 2 else None)
        for index, text in enumerate(TEXTS)
    ]
    store.append("t", given)
    for value in store.read("t"):
        require(f"the value {value.sequence}", value, given[value.sequence])
    require("how many there are", len(store.read("t")), len(given))


def a_sequence_is_stored_once(store: ObservationStore) -> None:
    """Appending a value again, alone, in another batch or twice in one, changes nothing."""
    values = [ObservedValue(index, "m", str(index), float(index)) for index in range(10)]
    store.append("t", values[:4])
    store.append("t", values[2:8])
    store.append("t", [values[9], values[0], values[9], ObservedValue(9, "other", "99", 99.0)])
    store.append("t", [values[8]])
    store.append("t", [ObservedValue(5, "m", "-1000", 5.0)])
    store.append("t", [])
    require("values", store.read("t"), tuple(values))
    require("summary", store.summarize("t", ["m"]), {"m": MetricSummary("0", "9", "9", 10)})


def trials_do_not_mix(store: ObservationStore) -> None:
    """Values belong to a trial's uid; dropping one trial leaves the others."""
    store.append("a", [ObservedValue(0, "m", "1", 1.0)])
    store.append("b", [ObservedValue(0, "m", "2", 1.0)])
    store.drop("a")
    store.drop("nobody")
    require("values of a dropped trial", store.read("a"), ())
    require("summary of a dropped trial", store.summarize("a", ["m"]), {})
    require("values of the other", [value.text for value in store.read("b")], ["2"])
    store.append("a", [ObservedValue(0, "m", "3", 1.0)])
    require("values after the drop", [value.text for value in store.read("a")], ["3"])
    require("summary after the drop", store.summarize("a", ["m"]), {"m": MetricSummary("3", "3", "3", 1)})


def reads_are_ordered_and_limited(store: ObservationStore) -> None:
    """By (time, sequence); by sequence when paging; times are part of their range."""
    times = [5.0, 3.0, 3.0, 9.0, 1.0, 5.0]
    values = [ObservedValue(index, "ab"[index % 2], str(index), time) for index, time in enumerate(times)]
    store.append("t", list(reversed(values)))
    _numbers("all", store.read("t"), 4, 1, 2, 0, 5, 3)
    _numbers("of a metric", store.read("t", metric="a"), 4, 2, 0)
    _numbers("of no metric", store.read("t", metric="c"))
    _numbers("of nobody", store.read("nobody"))
    _numbers("from a time", store.read("t", start_time=5.0), 0, 5, 3)
    _numbers("to a time", store.read("t", end_time=3.0), 4, 1, 2)
    _numbers("between times", store.read("t", start_time=3.0, end_time=5.0, metric="b"), 1, 5)
    _numbers("the first page", store.read("t", limit=2), 0, 1)
    _numbers("the next page", store.read("t", after_sequence=1, limit=2), 2, 3)
    _numbers("the rest", store.read("t", after_sequence=3), 4, 5)
    _numbers("the rest of a metric", store.read("t", after_sequence=1, metric="a", start_time=2.0), 2)
    _numbers("no page", store.read("t", limit=0))


def summaries_follow_the_rules(store: ObservationStore) -> None:
    """Extremes are of finite numbers, else the latest number, else unavailable; texts stay as written."""
    cases: dict[str, tuple[list[tuple[str, float]], MetricSummary]] = {
        "plain": ([("0.5", 1), ("0.990", 2), ("0.25", 3)], MetricSummary("0.25", "0.990", "0.25", 3)),
        "late": ([("1", 5), ("2", 3), ("3", 4)], MetricSummary("1", "3", "1", 3)),
        "tie": ([("1", 5), ("2", 5)], MetricSummary("1", "2", "2", 2)),
        "odd": ([("nan", 1), ("7", 2), ("inf", 3), ("word", 4)], MetricSummary("7", "7", "word", 4)),
        "endless": ([("inf", 1), ("-inf", 2)], MetricSummary("-inf", "-inf", "-inf", 2)),
        "never": ([("nan", 2), ("inf", 1), ("?", 3)], MetricSummary("nan", "nan", "?", 3)),
        "words": ([("a", 2), ("b", 1)], MetricSummary(UNAVAILABLE, UNAVAILABLE, "a", 2)),
        "equal": ([("1.0", 1), ("1", 2), ("1.00", 3)], MetricSummary("1.0", "1.0", "1.00", 3)),
        "digits": ([("9", 1), ("10", 2)], MetricSummary("9", "10", "10", 2)),
    }
    sequence = 0
    for metric, (reports, _) in cases.items():
        for text, when in reports:
            store.append("t", [ObservedValue(sequence, metric, text, when)])
            sequence += 1
    got = store.summarize("t", [*cases, "absent"])
    require("metrics that have a summary", set(got), set(cases))
    for metric, (reports, wanted) in cases.items():
        require(f"the summary of {reports}", got[metric], wanted)
    require("the summary of nobody", store.summarize("nobody", ["plain"]), {})


def a_summary_is_that_of_all_values(store: ObservationStore) -> None:
    """However values are cut into batches and ordered, the summary is that of the whole."""
    chance = random.Random(7)
    for trial in ("t", "u", "v"):
        values = [
            ObservedValue(index, chance.choice("ab"), chance.choice(TEXTS[:24]), float(chance.randrange(9)))
            for index in range(60)
        ]
        left = values * 2
        chance.shuffle(left)
        while left:
            cut = chance.randrange(1, 9)
            store.append(trial, left[:cut])
            del left[:cut]
        for metric in "ab":
            mine = [value for value in values if value.metric == metric]
            require(f"the summary of {metric}", store.summarize(trial, [metric])[metric], summary_of(mine))


def threads_append_at_once(store: ObservationStore) -> None:
    """Threads that send the same and different values leave each of them once."""
    values = [ObservedValue(index, f"m{index % 3}", str(index), float(index)) for index in range(200)]

    def send(worker: int) -> None:
        for start in range(0, 200, 20):
            begin = (start + worker * 40) % 200
            store.append("t", values[begin : begin + 20])
            store.append(f"only {worker}", values[begin : begin + 20])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(6)))
    for trial in ("t", *(f"only {worker}" for worker in range(6))):
        require(f"values of {trial}", store.read(trial), tuple(values))
        require(f"count of {trial}", store.summarize(trial, ["m0"])["m0"].count, 67)


def summary_of(values: Sequence[ObservedValue]) -> MetricSummary:
    """The summary of values, looked at all together."""
    ordered = sorted(values, key=lambda value: (value.time, value.sequence))
    numbers = [(number, value) for value in ordered if (number := number_of(value.text)) is not None]
    finite = [(number, value) for number, value in numbers if math.isfinite(number)]
    absent = numbers[-1][1].text if numbers else UNAVAILABLE
    least = min(finite, key=lambda entry: (entry[0], entry[1].sequence), default=None)
    greatest = max(finite, key=lambda entry: (entry[0], -entry[1].sequence), default=None)
    return MetricSummary(
        min=absent if least is None else least[1].text,
        max=absent if greatest is None else greatest[1].text,
        latest=ordered[-1].text,
        count=len(values),
    )


CHECKS: Sequence[Callable[[ObservationStore], None]] = (
    values_come_back_as_written,
    a_sequence_is_stored_once,
    trials_do_not_mix,
    reads_are_ordered_and_limited,
    summaries_follow_the_rules,
    a_summary_is_that_of_all_values,
    threads_append_at_once,
)
"""Each gets an empty store; a broken promise raises `BrokenStoreError`."""


def _numbers(what: str, values: Sequence[ObservedValue], *wanted: int) -> None:
    require(what, [value.sequence for value in values], list(wanted))
