"""A user deletes or edits something at each moment of an Experiment's life in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.invariants import Snapshot, broken_rules
from katibpy.core.phases import ExperimentPhase
from katibpy.runners.simulated_world import Report, Script, script_of
from katibpy.testing import builders as build
from katibpy.testing.simulator import Simulation

MOST = 4


def behaviour(trial: Trial) -> Script:
    number = trial.spec.number or 0
    script = script_of({"loss": number / 10}, duration_seconds=10 + 3.7 * number, exit_code=int(number == 1))
    return Script(script.duration_seconds, script.exit_code, script.reports, stop_seconds=2.0)


def tuned(**spec: Any) -> Experiment:
    return build.experiment("tune", **{"max_trial_count": MOST, "parallel_trial_count": 2, **spec})


class Checked(Simulation):
    """Checks all rules after every step."""

    def __init__(self, behaves: Callable[[Trial], Script] = behaviour) -> None:
        super().__init__(behaves)
        self._before: Snapshot | None = None
        self._looked_at = -1

    def go_on(self) -> bool:
        """One reconciliation, or else some time; False when nothing is left to happen."""
        is_alive = self.step() or self.pass_time()
        is_news = self.store.version() != self._looked_at
        if is_news and self.store.find(Experiment, "default", "tune") is not None:
            now = self.snapshot("tune")
            # Up to the event it is one and the same run again.
            assert self.faults.is_to_come or broken_rules(now, self._before) == ()
            self._before, self._looked_at = now, self.store.version()
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


@pytest.mark.parametrize(("parallel", "most"), [(1, 4), (4, 4), (3, 7), (1, 3)])
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


# In the middle of a reconciliation.


def delete_a_trial(simulation: Simulation) -> None:
    trials = simulation.store.list(Trial).items
    if trials:
        simulation.delete(Trial, trials[-1].metadata.name)


ACTS: dict[str, Callable[[Simulation], object]] = {
    "delete the experiment": lambda simulation: simulation.delete(Experiment, "tune"),
    "delete the suggestion": lambda simulation: simulation.delete(Suggestion, "tune"),
    "delete a trial": delete_a_trial,
    "allow more at once": lambda simulation: simulation.edit("tune", parallel_trial_count=4),
    "allow fewer at once": lambda simulation: simulation.edit("tune", parallel_trial_count=1),
}


@pytest.mark.parametrize("act", ACTS)
def test_whatever_is_done_between_two_port_calls_is_followed(act: str) -> None:
    number = 0
    while True:
        number += 1
        simulation = Checked()

        def event(call: str, simulation: Simulation = simulation) -> None:
            ACTS[act](simulation)

        simulation.faults.in_calls(number, event=event)
        simulation.submit(tuned())
        simulation.to_the_end()
        if simulation.faults.is_to_come:
            break
        where = f"call {number}, {simulation.faults.where}"
        assert simulation.world.active == 0, where
        if simulation.store.find(Experiment, "default", "tune") is None:
            assert act == "delete the experiment", where
            assert simulation.store.list(Suggestion).items == (), where
            assert simulation.store.list(Trial).items == (), where
        else:
            assert act != "delete the experiment", where
            assert broken_rules(simulation.snapshot("tune"), is_settled=True) == (), where
            assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED, where
            assert len(simulation.trials("tune")) >= MOST - 1, where
    assert number > 100


# Stops and second runs.


def test_trials_that_cannot_matter_any_more_are_really_ended() -> None:
    def endless_but_one(trial: Trial) -> Script:
        if trial.spec.number == 1:
            return script_of({"loss": 0.01}, duration_seconds=10)
        return Script(duration_seconds=1e9, stop_seconds=2.0)

    simulation = Checked(endless_but_one)
    simulation.submit(tuned(objective=build.minimize(goal=0.1), parallel_trial_count=3))
    simulation.to_the_end()
    status = simulation.experiment("tune").status
    assert (status.trials_succeeded, status.trials_killed) == (1, 2)
    assert simulation.clock.monotonic() < 1000
    killed = [trial for trial in simulation.trials("tune") if trial.spec.number != 1]
    assert all((trial.status.completion_time or build.MOMENT) == build.moment(12) for trial in killed)


def test_a_run_that_was_withdrawn_counts_only_for_what_its_second_run_reports() -> None:
    for steps in range(0, 60, 3):
        starts: list[str] = []

        def behaves(trial: Trial, starts: list[str] = starts) -> Script:
            starts.append(trial.metadata.name)
            first = starts.count(trial.metadata.name) == 1
            # The first run reports more and better values than the second one will.
            values = ("0.1", "0.01", "0.001") if first else ("0.7",)
            reports = tuple(Report(2.0 * (place + 1), "loss", value) for place, value in enumerate(values))
            return Script(10.0, 0, reports)

        simulation = Checked(behaves)
        simulation.submit(tuned(max_trial_count=2))
        for _ in range(steps):
            simulation.go_on()
        simulation.world.withdraw_all()
        simulation.restart()
        simulation.to_the_end()
        for trial in simulation.trials("tune"):
            assert trial.status.observation is not None
            was_first = starts.count(trial.metadata.name) == 1
            assert trial.status.observation.metrics[0].min == ("0.001" if was_first else "0.7")


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
