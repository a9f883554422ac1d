"""The controller around its planners: failures, postponements, conflicts, scope, threads."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable

import pytest

from katibpy.algo.algorithm import Reply
from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.controller.adapters import Adapters
from katibpy.controller.loop import Controller
from katibpy.core.invariants import Snapshot, broken_rules
from katibpy.core.phases import ExperimentPhase, experiment_phase
from katibpy.errors import Conflict, InvalidSettings, ServiceUnavailable, StoreError
from katibpy.launchers.in_process import DirectGateway
from katibpy.ports import Clock, SuggestionCall
from katibpy.runners.simulated import SimulatedCollector, SimulatedRunner
from katibpy.runners.simulated_world import Script, SimulatedWorld, script_of
from katibpy.stores.memory_observations import MemoryObservationStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.testing import builders as build
from katibpy.testing.simulator import Simulation


class ScriptedGateway(DirectGateway):
    """Real algorithms; what happens before each answer is up to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.before_validate: Callable[[], None] = lambda: None
        self.before_suggest: Callable[[], None] = lambda: None
        self.asked: list[float] = []
        self.name: str | None = None
        self.monotonic: Callable[[], float] = lambda: 0.0

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        self.before_validate()
        super().validate(experiment, timeout_seconds=timeout_seconds)

    def suggest(self, call: SuggestionCall) -> Reply:
        self.asked.append(self.monotonic())
        reply = super().suggest(call)
        self.before_suggest()
        if self.name is not None:
            named = tuple(dataclasses.replace(each, trial_name=self.name) for each in reply.proposals)
            reply = dataclasses.replace(reply, proposals=named)
        return reply


def quick(trial: Trial) -> Script:
    return script_of({"loss": 0.5}, duration_seconds=10 + (trial.spec.number or 0))


def simulated(behaviour: Callable[[Trial], Script] = quick) -> tuple[Simulation, ScriptedGateway]:
    gateway = ScriptedGateway()
    simulation = Simulation(behaviour, new_gateway=lambda: gateway)
    gateway.monotonic = simulation.clock.monotonic
    return simulation, gateway


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


# The algorithm service.


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_service_that_is_down_is_asked_ever_more_rarely_and_then_goes_on(is_accepted: bool) -> None:
    simulation, gateway = simulated()
    simulation.submit(build.experiment("tune", max_trial_count=3, parallel_trial_count=1))
    if is_accepted:
        simulation.run_until(lambda: bool(simulation.trials("tune")))
    gateway.asked.clear()
    gateway.before_suggest = raising(ServiceUnavailable("connection refused"))
    simulation.run_until(lambda: len(gateway.asked) >= 9)
    pauses = [
        round(later - earlier, 3) for earlier, later in zip(gateway.asked, gateway.asked[1:], strict=False)
    ]
    assert pauses == [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 30.0]
    suggestion = simulation.snapshot("tune").suggestion
    assert suggestion is not None
    assert "(9 in a row): connection refused" in suggestion.status.conditions[-1].message
    gateway.before_suggest = lambda: None
    simulation.run_until(lambda: False)
    assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED


def test_a_name_that_is_taken_is_a_failure_of_the_algorithm_which_is_told_and_asked_again() -> None:
    simulation, gateway = simulated()
    simulation.submit(build.experiment("tune", max_trial_count=3, parallel_trial_count=1))
    simulation.run_until(lambda: bool(simulation.trials("tune")))
    taken = simulation.trials("tune")[0].metadata.name
    gateway.name = taken
    gateway.asked.clear()
    simulation.run_until(lambda: len(gateway.asked) >= 5)
    pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(gateway.asked)]
    assert pauses == [0.2, 0.5, 1.0, 2.0]
    told = simulation.experiment("tune").status.conditions[-1].message
    assert "(4 in a row): its reply cannot be used" in told or "(5 in a row)" in told
    assert f"got '{taken}' again" in told
    assert len(simulation.trials("tune")) == 1
    gateway.name = None
    simulation.run_until(lambda: False)
    assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED
    assert len(simulation.trials("tune")) == 3


@pytest.mark.parametrize("question", ["validate", "suggest"])
def test_a_refusal_ends_the_experiment_with_the_services_own_words(question: str) -> None:
    simulation, gateway = simulated()
    refuse = raising(InvalidSettings(["setting gamma must be below 1, got 7"]))
    if question == "validate":
        gateway.before_validate = refuse
    else:
        gateway.before_suggest = refuse
    simulation.submit(build.experiment("tune", max_trial_count=3))
    simulation.run_until(lambda: False)
    ended = simulation.experiment("tune").status.conditions[-1]
    assert (ended.type, ended.reason) == ("Failed", "ExperimentFailed")
    assert ended.message == ("Suggestion has failed: Validation failed: setting gamma must be below 1, got 7")


def test_a_deletion_does_not_wait_for_a_service_that_is_down() -> None:
    simulation, gateway = simulated()
    gateway.before_suggest = raising(ServiceUnavailable("connection refused"))
    simulation.submit(build.experiment("tune", max_trial_count=3))
    simulation.run_until(lambda: len(gateway.asked) >= 7)
    simulation.settle()
    before = simulation.clock.monotonic()
    simulation.delete(Experiment, "tune")
    assert simulation.run_until(lambda: simulation.store.find(Experiment, "default", "tune") is None)
    assert simulation.clock.monotonic() - before < 2


@pytest.mark.parametrize("parallel", [1, 4])
def test_an_answer_is_kept_although_more_or_less_is_wanted_by_then(parallel: int) -> None:
    simulation, gateway = simulated()

    def edit() -> None:
        """As the Experiment's own reconciliation does when it runs beside a slow algorithm."""
        gateway.before_suggest = lambda: None
        suggestion = simulation.snapshot("tune").suggestion
        assert suggestion is not None
        simulation.store.replace_spec(suggestion.but(spec=suggestion.spec.but(requests=parallel)))
        simulation.edit("tune", parallel_trial_count=parallel)

    gateway.before_suggest = edit
    simulation.submit(build.experiment("tune", max_trial_count=6, parallel_trial_count=2))
    simulation.run_until(lambda: simulation.world.active == parallel)
    made = simulation.snapshot("tune").suggestion
    assert made is not None
    assert made.status.suggestion_count == max(2, parallel)
    assert len(gateway.asked) == (1 if parallel == 1 else 2)
    simulation.run_until(lambda: False)
    assert broken_rules(simulation.snapshot("tune"), is_settled=True) == ()
    assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED


def test_an_answer_for_a_suggestion_that_was_deleted_meanwhile_is_dropped() -> None:
    simulation, gateway = simulated()

    def delete() -> None:
        gateway.before_suggest = lambda: None
        simulation.delete(Suggestion, "tune")

    gateway.before_suggest = delete
    simulation.submit(build.experiment("tune", max_trial_count=2, parallel_trial_count=2))
    simulation.run_until(lambda: False)
    assert len(gateway.asked) == 2
    assert simulation.experiment("tune").status.trials_succeeded == 2


# Errors.


def test_an_unexpected_error_of_one_experiment_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def behaviour(trial: Trial) -> Script:
        if trial.metadata.name.startswith("bad"):
            raise ZeroDivisionError("division by zero")
        return quick(trial)

    simulation, _ = simulated(behaviour)
    for name in ("bad", "good"):
        simulation.submit(build.experiment(name, max_trial_count=2))
    simulation.run_until(lambda: simulation.phase("good").is_finished)
    assert simulation.phase("good") is ExperimentPhase.SUCCEEDED
    assert "division by zero" in caplog.text
    assert "Traceback" in caplog.text


def test_a_store_that_cannot_tell_its_changes_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    simulation, _ = simulated()
    simulation.submit(build.experiment("tune", max_trial_count=2))
    simulation.faults.in_calls(1, event=lambda call: StoreError(f"{call}: the disk is gone"))
    simulation.run_until(lambda: False)
    assert "store.changes: the disk is gone" in caplog.text
    assert simulation.phase("tune") is ExperimentPhase.SUCCEEDED


# Who looks after what, and restarts.


def adapters_over(world: SimulatedWorld, store: MemoryResourceStore, clock: Clock) -> Adapters:
    observations = MemoryObservationStore()
    return Adapters(
        store=store,
        observations=observations,
        runner=SimulatedRunner(world),
        collector=SimulatedCollector(world, observations),
        gateway=DirectGateway(),
        clock=clock,
    )


def test_experiments_of_others_are_left_alone_but_their_deletions_are_finished() -> None:
    world = SimulatedWorld(quick)
    store = MemoryResourceStore(world.clock)
    adapters = adapters_over(world, store, SystemClock())
    controller = Controller(adapters, scope=lambda namespace, name: name == "mine", workers=0)
    for name in ("mine", "others", "leaving"):
        store.create(build.experiment(name, max_trial_count=1))
    store.delete(Experiment, "default", "leaving")
    controller.resync()
    while controller.step() or world.advance():
        pass
    phases = {
        each.metadata.name: experiment_phase(each.status.conditions) for each in store.list(Experiment).items
    }
    assert phases == {"mine": ExperimentPhase.SUCCEEDED, "others": ExperimentPhase.CREATED}


def test_starts_of_trials_are_counted_a_little_later_and_together_but_ends_at_once() -> None:
    world = SimulatedWorld(quick)
    store = MemoryResourceStore(world.clock)
    adapters = adapters_over(world, store, world.clock)
    controller = Controller(adapters, workers=0)
    key = store.create(build.experiment("tune", max_trial_count=3, parallel_trial_count=2)).key

    def counts() -> tuple[int, int]:
        while controller.step():
            pass
        experiment = store.find(Experiment, *key[1:])
        assert experiment is not None
        return experiment.status.trials_running, experiment.status.trials_succeeded

    controller.resync()
    counts()
    version = store.version()
    world.advance_to(world.clock.monotonic() + 0.1)
    assert counts() == (2, 0)
    assert store.version() == version + 1
    world.advance_to(world.clock.monotonic() + 10)
    assert counts()[1] == 1


def test_counters_are_written_ten_times_a_second_however_many_trials_end_but_the_last_ones_at_once() -> None:
    world = SimulatedWorld(
        lambda trial: script_of({"loss": 1}, duration_seconds=0.01 + (trial.spec.number or 0) % 7 / 1000)
    )
    store = MemoryResourceStore(world.clock)
    controller = Controller(adapters_over(world, store, world.clock), workers=0)
    trials = 300
    key = store.create(build.experiment("tune", max_trial_count=trials, parallel_trial_count=3)).key
    controller.resync()
    versions, most_behind = set(), 0
    while controller.step() or world.advance():
        experiment = store.find(Experiment, *key[1:])
        assert experiment is not None
        versions.add(experiment.metadata.resource_version)
        ended = store.tally(experiment.metadata.uid or "").finished
        most_behind = max(most_behind, ended - experiment.status.trials_succeeded)
    assert experiment is not None
    assert experiment_phase(experiment.status.conditions) is ExperimentPhase.SUCCEEDED
    assert experiment.status.trials_succeeded == trials
    seconds = world.clock.monotonic()
    assert len(versions) < 10 * seconds + 10 < trials
    assert most_behind < 3 * trials / seconds * 0.1


def test_many_threads_carry_many_experiments_to_their_end() -> None:
    world = SimulatedWorld(
        lambda trial: script_of({"loss": 1}, duration_seconds=1 + (trial.spec.number or 0) % 7)
    )
    store = MemoryResourceStore(world.clock)
    controller = Controller(adapters_over(world, store, SystemClock()), workers=6, poll_seconds=0.01)
    reconciled = threading.Event()
    controller.subscribe(reconciled.set)
    names = [f"tune-{number}" for number in range(5)]
    for name in names:
        store.create(build.experiment(name, max_trial_count=25, parallel_trial_count=4))
    controller.start()
    try:
        deadline = time.monotonic() + 30
        while not all(
            experiment_phase(each.status.conditions).is_finished for each in store.list(Experiment).items
        ):
            assert time.monotonic() < deadline, "they must end"
            if controller.queue.is_idle() and not world.advance():
                reconciled.wait(0.01)
                reconciled.clear()
        while not controller.queue.is_idle() and time.monotonic() < deadline:
            reconciled.wait(0.01)
            reconciled.clear()
    finally:
        controller.stop()
    assert len(set(world.starts)) == len(world.starts) == 125
    assert world.most_active <= 20
    for name in names:
        experiment = store.find(Experiment, "default", name)
        assert experiment is not None
        uid = experiment.metadata.uid or ""
        snapshot = Snapshot(
            experiment=experiment,
            suggestion=store.find(Suggestion, "default", name),
            trials=store.list(Trial, owner_uid=uid).items,
            proposals=store.proposals(uid),
            tally=store.tally(uid),
        )
        assert broken_rules(snapshot, is_settled=True) == ()
        assert experiment.status.trials_succeeded == 25


def test_algorithms_that_hang_leave_a_worker_for_everything_else() -> None:
    world, store, gateway = SimulatedWorld(quick), MemoryResourceStore(SystemClock()), ScriptedGateway()
    release = threading.Event()

    def hang() -> None:
        release.wait(30)

    gateway.before_suggest = hang
    adapters = dataclasses.replace(adapters_over(world, store, SystemClock()), gateway=gateway)
    controller = Controller(adapters, workers=3, poll_seconds=0.01)
    for number in range(5):
        store.create(build.experiment(f"hangs-{number}", max_trial_count=1, parallel_trial_count=1))
    controller.start()
    try:
        await_true(lambda: len(gateway.asked) == 2)
        store.create(build.experiment("late", max_trial_count=1, parallel_trial_count=1))
        controller.resync()
        await_true(lambda: store.find(Suggestion, "default", "late") is not None)
        assert len(gateway.asked) == 2
    finally:
        release.set()
        controller.stop()


def await_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 4
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_stopping_ends_every_thread_and_a_stopped_controller_does_nothing_more() -> None:
    world = SimulatedWorld(quick)
    store = MemoryResourceStore(world.clock)
    before = threading.active_count()
    controller = Controller(adapters_over(world, store, SystemClock()), workers=3)
    controller.start()
    controller.stop()
    assert threading.active_count() == before
    store.create(build.experiment("late"))
    controller.resync()
    assert not controller.step()


def test_conflicts_without_end_are_met_ever_more_rarely() -> None:
    simulation, _ = simulated()
    controller = simulation.controller
    key = ("Experiment", "default", "contested")
    looks = 0

    def conflict(_: object) -> None:
        nonlocal looks
        looks += 1
        raise Conflict("it changed")

    controller.reconcile = conflict  # type: ignore[method-assign,assignment]
    controller.queue.add(key)
    while controller.step():
        assert looks < 100, "it is looked at without a pause for ever"
    assert 1 < looks < 10
