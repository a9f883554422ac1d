from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.api.paths import child_path, did_you_mean, nearest, parent_path


@pytest.mark.parametrize(
    ("path", "key", "child"),
    [
        ("", "spec", "spec"),
        ("spec", "seed", "spec.seed"),
        ("metadata.labels", "example.com/team", 'metadata.labels["example.com/team"]'),
        ("a", 'b"]\\', 'a["b\\"]\\\\"]'),
        ("a", "", 'a[""]'),
    ],
)
def test_a_key_that_could_be_misread_is_quoted(path: str, key: str, child: str) -> None:
    assert child_path(path, key) == child
    assert parent_path(child) == path


def test_parents_lead_up_to_the_top() -> None:
    steps = ["spec.parameters[0].name"]
    while steps[-1]:
        steps.append(parent_path(steps[-1]))
    assert steps[1:] == ["spec.parameters[0]", "spec.parameters", "spec", ""]


@given(st.text(max_size=20), st.sampled_from(["a", "a[3]", "a.b"]))
def test_the_parent_of_a_child_is_where_it_came_from(key: str, path: str) -> None:
    assert parent_path(child_path(path, key)) == path


def test_case_and_separators_do_not_count_for_the_nearest_name() -> None:
    assert nearest("parallel_trial_count", ["maxTrialCount", "parallelTrialCount"]) == "parallelTrialCount"
    assert nearest("Multivariate_TPE", ["tpe", "multivariate-tpe"]) == "multivariate-tpe"


def test_nothing_is_near_a_word_of_another_kind() -> None:
    assert nearest("xyz", ["random", "grid"]) is None
    assert nearest("random" * 100, ["random"]) is None
    assert did_you_mean("xyz", ["random"]) == ""
    assert did_you_mean("randm", ["random"]) == "; did you mean `random`?"
