"""The one current state, whatever else the conditions say."""

from __future__ import annotations

import itertools

import pytest

from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase, trial_phase
from katibpy.testing.builders import condition

TRIAL_ORDER = ["Killed", "Failed", "Succeeded", "EarlyStopped", "MetricsUnavailable", "Running"]
EXPERIMENT_ORDER = ["Failed", "Succeeded", "Running", "Restarting"]


@pytest.mark.parametrize("pair", list(itertools.combinations(TRIAL_ORDER, 2)), ids="-".join)
def test_of_two_conditions_of_a_trial_the_weightier_counts(pair: tuple[str, str]) -> None:
    for order in itertools.permutations(("Created", *pair)):
        assert trial_phase([condition(kind) for kind in order]) == pair[0]


@pytest.mark.parametrize("pair", list(itertools.combinations(EXPERIMENT_ORDER, 2)), ids="-".join)
def test_of_two_conditions_of_an_experiment_the_weightier_counts(pair: tuple[str, str]) -> None:
    for order in itertools.permutations(("Created", *pair)):
        assert experiment_phase([condition(kind) for kind in order]) == pair[0]


def test_only_true_conditions_count() -> None:
    ended = [
        condition("Created"),
        condition("Running", status="False"),
        condition("Failed", status="Unknown"),
    ]
    assert trial_phase(ended) is TrialPhase.PENDING
    assert experiment_phase(ended) is ExperimentPhase.CREATED
    assert trial_phase(()) is TrialPhase.PENDING
    assert experiment_phase(()) is ExperimentPhase.CREATED


def test_conditions_of_other_makers_are_no_phase() -> None:
    assert trial_phase([condition("Created"), condition("Audited")]) is TrialPhase.PENDING


def test_two_phases_of_a_trial_are_active_and_the_rest_are_not() -> None:
    assert [phase for phase in TrialPhase if phase.is_active] == [TrialPhase.PENDING, TrialPhase.RUNNING]
