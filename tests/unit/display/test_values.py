from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from katibpy.api.experiment import Metric, MetricStrategy
from katibpy.display.values import age, assignments, between, counted, duration, picked, short_number
from katibpy.testing import builders


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (4.25, "4.2s"),
        (5, "5s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (200, "3m20s"),
        (7500, "2h05m"),
        (86400 * 3 + 3600 * 4, "3d04h"),
    ],
)
def test_durations_are_short_and_round(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_without_a_moment_are_a_dash() -> None:
    assert age(None) == between(None, None) == "-"


def test_a_time_without_an_end_goes_on_until_now() -> None:
    start = datetime.now(UTC) - timedelta(hours=2, minutes=5, seconds=30)
    assert between(start, None) == age(start) == "2h05m"
    assert between(start, start + timedelta(seconds=12)) == "12s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.90", "0.90"),
        ("0.9731456789", "0.973146"),
        ("1e-10", "1e-10"),
        ("0.00000123456789", "1.23457e-06"),
        ("nan", "nan"),
        ("a-long-word-value", "a-long-word-value"),
        ("1_000_000_000", "1_000_000_000"),
    ],
)
def test_only_long_numbers_are_rounded(text: str, shown: str) -> None:
    assert short_number(text) == shown


def test_assignments_are_pairs_in_order() -> None:
    values = builders.trial(builders.as_stored(builders.experiment()), 0).spec.parameter_assignments
    assert assignments(values) == "lr=0.5"
    assert assignments(()) == "-"


def test_the_strategy_picks_the_value() -> None:
    metric = Metric(name="loss", min="1", max="3", latest="2")
    by_max = builders.minimize().but(metric_strategies=(MetricStrategy(name="loss", value="max"),))
    assert picked(metric, by_max) == "3"
    assert picked(metric, None) == "2"
    assert picked(metric.but(max="unavailable"), by_max) == "2"


def test_nouns_follow_their_number() -> None:
    assert (counted(1, "trial"), counted(0, "trial")) == ("1 trial", "0 trials")
