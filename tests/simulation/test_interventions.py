"""A user deletes or edits something at each moment of an Experiment's life in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.invariants import Snapshot, broken_rules
from katibpy.core.phases import ExperimentPhase
from katibpy.runners.simulated_world import Script, script_of
from katibpy.testing import builders as build
from katibpy.testing.simulator import Simulation

MOST = 5


def behaviour(trial: Trial) -> Script:
    number = trial.spec.number or 0
    script = script_of({"loss": number / 10}, duration_seconds=10 + 3.7 * number, exit_code=int(number == 1))
    return Script(script.duration_seconds, script.exit_code, script.reports, stop_seconds=2.0)


def tuned(**spec: Any) -> Experiment:
    return build.experiment("tune", **{"max_trial_count": MOST, "parallel_trial_count": 2, **spec})


class Checked(Simulation):
    """Checks all rules after every step."""

    def __init__(self) -> None:
        super().__init__(behaviour)
        self._before: Snapshot | None = None

    def go_on(self) -> bool:
        """One reconciliation, or else some time; False when nothing is left to happen."""
        is_alive = self.step() or self.pass_time()
        if self.store.find(Experiment, "default", "tune") is not None:
            now = self.snapshot("tune")
            assert broken_rules(now, self._before) == ()
            self._before = now
        return is_alive

    def to_the_end(self) -> None:
        while self.go_on():
            pass


def moments(*, every: int = 1) -> Iterator[Checked]:
    """A simulation at each moment from before the first reconciliation to after the last."""
    steps = 0
    while True:
        simulation = Checked()
        simulation.submit(tuned())
        if not all(simulation.go_on() for _ in range(steps)):
            return
        yield simulation
        steps += every


def test_a_deleted_experiment_leaves_nothing_behind() -> None:
    count = 0
    for simulation in moments():
        count += 1
        uids = [trial.metadata.uid or "" for trial in simulation.trials("tune")]
        simulation.delete(Experiment, "tune")
        simulation.to_the_end()
        for kind in (Experiment, Suggestion, Trial):
            assert simulation.store.list(kind).items == ()
        assert simulation.world.active == 0
        assert all(simulation.world.find(uid) is None for uid in simulation.world.starts)
        assert all(simulation.observations.read(uid) == () for uid in uids)
        # The name is free again, and the new one shares nothing with the old.
        simulation.submit(tuned())
        simulation._before = None
        simulation.to_the_end()
        assert simulation.experiment("tune").status.trials == MOST
    assert count > 30


def test_a_deleted_suggestion_is_made_anew_and_the_experiment_gets_all_its_trials() -> None:
    for simulation in moments():
        simulation.delete(Suggestion, "tune")
        simulation.to_the_end()
        now = simulation.snapshot("tune")
        assert broken_rules(now, is_settled=True) == ()
        assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED
        assert [trial.spec.number for trial in now.trials] == list(range(MOST))
        assert len(set(simulation.world.starts)) == len(simulation.world.starts)


def test_a_deleted_trial_is_stopped_forgotten_and_replaced_by_another() -> None:
    for simulation in moments():
        trials = simulation.trials("tune")
        if not trials:
            continue
        is_over = simulation.snapshot("tune").tally.finished == MOST  # or will be at the next look
        chosen = trials[-1]
        simulation.delete(Trial, chosen.metadata.name)
        simulation.to_the_end()
        left = simulation.trials("tune")
        assert chosen.metadata.uid not in {trial.metadata.uid for trial in left}
        assert simulation.world.find(chosen.metadata.uid or "") is None
        assert simulation.observations.read(chosen.metadata.uid or "") == ()
        assert len(left) == (MOST - 1 if is_over else MOST)
        assert broken_rules(simulation.snapshot("tune"), is_settled=True) == ()


@pytest.mark.parametrize(("parallel", "most"), [(1, 5), (4, 5), (3, 8), (1, 4)])
def test_a_budget_that_is_edited_is_kept_from_then_on(parallel: int, most: int) -> None:
    for simulation in moments(every=2):
        if simulation.phase("tune").is_finished or most < len(simulation.trials("tune")):
            continue
        simulation.edit("tune", parallel_trial_count=parallel, max_trial_count=most)
        simulation.to_the_end()
        assert broken_rules(simulation.snapshot("tune"), is_settled=True) == ()
        assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED
        assert len(simulation.trials("tune")) == most
        assert simulation.world.most_active <= max(parallel, 2)


# Going on after the end.


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_an_experiment_that_may_goes_on_twice_with_new_assignments(policy: str) -> None:
    simulation = Checked()
    simulation.submit(tuned(resume_policy=policy, algorithm=build.algorithm("grid"), parameters=LAYERS))
    simulation.to_the_end()
    for most in (8, 9):
        assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED
        simulation.edit("tune", max_trial_count=most)
        simulation.to_the_end()
        assert simulation.experiment("tune").status.trials == most
    values = [trial.spec.parameter_assignments[0].value for trial in simulation.trials("tune")]
    assert values == [str(number) for number in range(9)]
    assert broken_rules(simulation.snapshot("tune"), is_settled=True) == ()
    # The grid has ten values: the next time it ends for another reason.
    simulation.edit("tune", max_trial_count=20)
    simulation.to_the_end()
    assert simulation.experiment("tune").status.trials == 10
    assert simulation.experiment("tune").status.conditions[-1].reason == "ExperimentSuggestionEndReached"


LAYERS = (build.integer("layers", 0, 9),)


@pytest.mark.parametrize(
    ("policy", "condition"),
    [("Never", "Succeeded"), ("FromVolume", "Succeeded"), ("LongRunning", "Running")],
)
def test_the_suggestion_rests_or_stays_up_by_policy(policy: str, condition: str) -> None:
    simulation = Checked()
    simulation.submit(tuned(resume_policy=policy))
    simulation.to_the_end()
    suggestion = simulation.snapshot("tune").suggestion
    assert suggestion is not None
    assert suggestion.status.conditions[-1].type == condition
    simulation.edit("tune", max_trial_count=7)
    simulation.to_the_end()
    assert simulation.experiment("tune").status.trials == (MOST if policy == "Never" else 7)


def test_two_experiments_of_one_name_in_two_namespaces_never_mix() -> None:
    simulation = Simulation(behaviour)
    for namespace in ("red", "blue"):
        simulation.submit(build.experiment("tune", namespace=namespace, max_trial_count=3))
    simulation.run_until(lambda: False)
    for namespace in ("red", "blue"):
        experiment = simulation.store.find(Experiment, namespace, "tune")
        assert experiment is not None
        assert experiment.status.trials == 3
        trials = simulation.store.list(Trial, owner_uid=experiment.metadata.uid).items
        assert {trial.metadata.namespace for trial in trials} == {namespace}
    assert len(simulation.world.starts) == 6
