from __future__ import annotations

import pytest

from katibpy.core.phases import FINISHED_PHASES, TrialPhase
from katibpy.core.retention import KeepTrials, keeps, may_continue
from katibpy.testing.builders import condition, experiment, trial


@pytest.mark.parametrize("policy", KeepTrials)
@pytest.mark.parametrize("phase", [TrialPhase.PENDING, TrialPhase.RUNNING])
def test_nothing_of_an_active_trial_goes(policy: KeepTrials, phase: TrialPhase) -> None:
    assert keeps(policy, trial(experiment(), 0, phase=phase), best=None)


@pytest.mark.parametrize("policy", KeepTrials)
def test_a_template_that_retains_its_runs_is_heeded(policy: KeepTrials) -> None:
    ended = trial(experiment(), 0, phase=TrialPhase.SUCCEEDED)
    assert keeps(policy, ended.but(spec=ended.spec.but(retain_run=True)), best=None)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (KeepTrials.ALL, set(FINISHED_PHASES)),
        (KeepTrials.FAILED, {TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE}),
        (KeepTrials.BEST, set()),
        (KeepTrials.NONE, set()),
    ],
)
def test_what_has_ended_is_kept_by_its_phase(policy: KeepTrials, kept: set[TrialPhase]) -> None:
    found = {
        phase for phase in FINISHED_PHASES if keeps(policy, trial(experiment(), 0, phase=phase), best="x")
    }
    assert found == kept


@pytest.mark.parametrize(("policy", "is_kept"), [(KeepTrials.BEST, True), (KeepTrials.NONE, False)])
@pytest.mark.parametrize("phase", [TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED])
def test_the_best_is_kept_if_it_is_asked_for(policy: KeepTrials, is_kept: bool, phase: TrialPhase) -> None:
    best = trial(experiment(), 0, phase=phase)
    assert keeps(policy, best, best=best.metadata.name) is is_kept


@pytest.mark.parametrize(
    ("conditions", "policy", "may"),
    [
        ([], "Never", True),
        ([("Running", "ExperimentRunning")], "Never", True),
        ([("Succeeded", "ExperimentMaxTrialsReached")], "Never", False),
        ([("Succeeded", "ExperimentMaxTrialsReached")], "FromVolume", True),
        ([("Succeeded", "ExperimentMaxTrialsReached")], "LongRunning", True),
        ([("Succeeded", "ExperimentGoalReached")], "LongRunning", False),
        ([("Failed", "ExperimentFailed")], "FromVolume", False),
    ],
)
def test_checkpoints_are_of_use_until_an_experiment_has_ended_for_good(
    conditions: list[tuple[str, str]], policy: str, may: bool
) -> None:
    ended = experiment(resume_policy=policy)
    ended = ended.but(
        status=ended.status.but(conditions=tuple(condition(kind, reason=why) for kind, why in conditions))
    )
    assert may_continue(ended) is may
