from __future__ import annotations

from collections.abc import Sequence

import pytest

from katibpy.api.experiment import Objective
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.core.records import ObservedValue
from katibpy.core.runs import RunPhase
from katibpy.errors import RunnerError, StoreError
from katibpy.ports import Key
from katibpy.runners.simulated import SimulatedCollector, SimulatedRunner
from katibpy.runners.simulated_world import Report, Script, SimulatedWorld, script_of
from katibpy.stores.memory_observations import MemoryObservationStore


def make_trial(name: str = "t") -> Trial:
    objective = Objective(type="minimize", objective_metric_name="loss")
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=TrialSpec(objective=objective))


LIVE = Script(
    duration_seconds=10,
    reports=(
        Report(2, "loss", "3"),
        Report(4, "other", "0"),
        Report(6, "loss", "1"),
        Report(12, "loss", "never"),
    ),
)


class Bench:
    def __init__(self, script: Script, store: MemoryObservationStore | None = None) -> None:
        self.world = SimulatedWorld(lambda trial: script)
        self.store = store or MemoryObservationStore()
        self.heard: list[tuple[float, Key]] = []
        self.open()

    def open(self) -> None:
        self.runner = SimulatedRunner(self.world)
        self.collector = SimulatedCollector(self.world, self.store)
        self.collector.subscribe(lambda key: self.heard.append((self.world.clock.monotonic(), key)))

    def texts(self) -> list[str]:
        return [value.text for value in self.store.read("uid-t")]


def test_time_moves_from_event_to_event_and_values_arrive_in_it() -> None:
    bench, trial = Bench(LIVE), make_trial()
    bench.runner.start(trial)
    bench.collector.attach(trial, bench.runner.outputs(trial))
    moments = []
    while bench.world.advance():
        moments.append((bench.world.clock.monotonic(), bench.texts()))
    assert moments == [(2, ["3"]), (4, ["3"]), (6, ["3", "1"]), (10, ["3", "1"])]
    assert [moment for moment, _ in bench.heard] == [2, 4, 6]
    assert bench.runner.observe(trial).phase is RunPhase.ENDED
    bench.collector.finish(trial)
    state = bench.collector.observe(trial)
    assert state.is_drained
    assert state.seen_names == ("loss", "other")
    assert bench.store.read("uid-t")[1].time == bench.world.find("uid-t").started_at.timestamp() + 6  # type: ignore[union-attr]


def test_a_stopped_trial_writes_nothing_more() -> None:
    bench, trial = Bench(LIVE), make_trial()
    bench.runner.start(trial)
    bench.collector.attach(trial, None)
    bench.world.advance_to(3)
    bench.runner.stop(trial)
    assert not bench.world.advance()
    bench.collector.finish(trial)
    assert bench.texts() == ["3"]
    assert bench.world.active == 0


def test_the_world_goes_on_when_the_program_crashes() -> None:
    bench, trial = Bench(LIVE), make_trial()
    bench.runner.start(trial)
    bench.collector.attach(trial, None)
    bench.world.advance_to(3)
    bench.world.crash()
    bench.world.advance_to(11)
    assert bench.texts() == ["3"]
    bench.open()
    bench.runner.start(trial)
    assert bench.runner.observe(trial).phase is RunPhase.ENDED
    bench.collector.attach(trial, None)
    bench.collector.finish(trial)
    assert bench.texts() == ["3", "1"]
    assert bench.world.starts == ["uid-t"]


class RefusingStore(MemoryObservationStore):
    refusals = 1

    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("not now")
        super().append(trial_uid, values)


def test_nothing_is_drained_before_it_is_stored() -> None:
    bench, trial = Bench(script_of({"loss": 0.5}), RefusingStore()), make_trial()
    bench.runner.start(trial)
    bench.collector.attach(trial, None)
    bench.world.advance()
    bench.collector.finish(trial)
    assert not bench.collector.observe(trial).is_drained
    assert "not now" in bench.collector.observe(trial).problem
    bench.collector.finish(trial)
    assert bench.collector.observe(trial).is_drained
    assert bench.texts() == ["0.5"]


def test_the_greatest_number_of_runs_at_once_is_known() -> None:
    bench = Bench(Script())
    for name in "abc":
        bench.runner.start(make_trial(name))
    while bench.world.advance():
        pass
    bench.runner.start(make_trial("d"))
    assert (bench.world.most_active, bench.world.active) == (3, 1)


def test_a_closed_runner_starts_nothing() -> None:
    bench = Bench(Script())
    bench.runner.close(stop_runs=False)
    with pytest.raises(RunnerError):
        bench.runner.start(make_trial())


def test_thousands_of_trials_come_and_go() -> None:
    bench = Bench(script_of({"loss": 0.5}))
    trials = [make_trial(str(number)) for number in range(5000)]
    for trial in trials:
        bench.runner.start(trial)
        bench.collector.attach(trial, None)
        assert bench.runner.observe(trial).phase is RunPhase.RUNNING
        bench.world.advance()
        assert bench.runner.observe(trial).phase is RunPhase.ENDED
        bench.collector.finish(trial)
        assert bench.collector.observe(trial).is_drained
        bench.collector.detach(trial)
        bench.runner.remove(trial)
    assert bench.world.find("uid-0") is None
    assert bench.world.clock.monotonic() == 5000
