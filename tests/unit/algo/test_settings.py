from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest

from katibpy.algo.settings import REQUIRED, describe_settings, parse_settings, setting, setting_problems
from katibpy.errors import InvalidSettings


class Mode(StrEnum):
    FAST = "fast"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Everything:
    resource: str = setting(REQUIRED, help="parameter that holds the resource")
    count: int = setting(24, minimum=1, maximum=100, aliases=("n_count",), help="how many")
    share: float = setting(0.25, above=0, below=1)
    limit: float | None = setting(None, minimum=0)
    is_quick: bool = setting(False)
    mode: Mode = setting(Mode.FAST)  # noqa: RUF009 - a field, not a shared value
    kernel: str = setting("rbf", choices=("rbf", "matern"))


def _messages(**settings: str) -> list[str]:
    return [problem.message for problem in setting_problems(Everything, {"resource": "epochs", **settings})]


def test_texts_become_typed_values() -> None:
    texts = {
        "resource": "epochs",
        "count": " 7 ",
        "share": "1e-1",
        "limit": "None",
        "is_quick": "True",
        "mode": "exact",
        "kernel": "matern",
    }
    assert parse_settings(Everything, texts) == Everything("epochs", 7, 0.1, None, True, Mode.EXACT, "matern")


def test_what_is_not_written_has_its_default() -> None:
    assert parse_settings(Everything, {"resource": "epochs"}) == Everything("epochs")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("count", "0", "setting count must be a whole number at least 1 and at most 100, got '0'"),
        ("count", "101", "setting count must be a whole number at least 1 and at most 100, got '101'"),
        ("count", "1.5", "setting count must be a whole number at least 1 and at most 100, got '1.5'"),
        ("n_count", "x", "setting n_count must be a whole number at least 1 and at most 100, got 'x'"),
        ("share", "1", "setting share must be a number above 0 and below 1, got '1'"),
        ("share", "0", "setting share must be a number above 0 and below 1, got '0'"),
        ("share", "nan", "setting share must be a number above 0 and below 1, got 'nan'"),
        ("limit", "inf", "setting limit must be a number at least 0 or None, got 'inf'"),
        ("is_quick", "maybe", "setting is_quick must be true or false, got 'maybe'"),
        ("mode", "slow", "setting mode must be one of fast, exact, got 'slow'"),
        ("kernel", "None", "setting kernel must be one of rbf, matern, got 'None'"),
        ("coumt", "3", "setting coumt is not known; did you mean count?"),
        (
            "zzz",
            "3",
            (
                "setting zzz is not known; "
                "known settings: resource, count, n_count, share, limit, is_quick, mode, kernel"
            ),
        ),
    ],
)
def test_a_broken_rule_names_setting_rule_and_value(name: str, text: str, message: str) -> None:
    assert _messages(**{name: text}) == [message]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        parse_settings(Everything, {"count": "0", "share": "2", "unheard": "1"})
    assert [problem.split()[1] for problem in refusal.value.problems] == [
        "count",
        "share",
        "unheard",
        "resource",
    ]


def test_two_names_of_one_setting_may_agree_but_not_differ() -> None:
    assert _messages(count="3", n_count="3") == []
    assert _messages(count="3", n_count="4") == [
        "settings count and n_count mean the same but differ; write one of them, got '4'"
    ]


def test_each_setting_is_described_as_it_would_be_written() -> None:
    rows = {row.name: (row.type, row.default, row.bounds, row.help) for row in describe_settings(Everything)}
    assert rows == {
        "resource": ("str", "required", "", "parameter that holds the resource"),
        "count": ("int", "24", "at least 1 and at most 100", "how many"),
        "share": ("float", "0.25", "above 0 and below 1", ""),
        "limit": ("float or None", "None", "at least 0", ""),
        "is_quick": ("bool", "false", "", ""),
        "mode": ("fast|exact", "fast", "", ""),
        "kernel": ("rbf|matern", "rbf", "", ""),
    }


def test_a_type_that_settings_cannot_have_is_a_mistake_of_the_author() -> None:
    @dataclass(frozen=True)
    class Wrong:
        shape: tuple[int, int] = setting((1, 2))

    with pytest.raises(TypeError, match="setting shape"):
        parse_settings(Wrong, {})
