"""The controller is killed at each of its port calls in turn; the result is always the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from katibpy.api.trial import Trial
from katibpy.core.invariants import Snapshot, broken_rules
from katibpy.errors import KatibError, RunnerError, ServiceUnavailable, StoreError
from katibpy.runners.simulated_world import Script, script_of
from katibpy.testing import builders as build
from katibpy.testing.port_faults import Faults
from katibpy.testing.simulator import Simulation


def behaviour(trial: Trial) -> Script:
    """Every trial takes another time, so that results come in one order; one of them fails."""
    number = trial.spec.number or 0
    rate = float(trial.spec.parameter_assignments[0].value)
    return script_of(
        {"loss": (rate - 0.3) ** 2}, duration_seconds=10 + 3.7 * number, exit_code=int(number == 2)
    )


EXPERIMENT = build.experiment("tune", max_trial_count=4, parallel_trial_count=2, seed=3)


@dataclass(frozen=True)
class Ending:
    """What must not depend on where the controller was killed."""

    trials: tuple[tuple[str, str, str], ...]
    best: str
    conditions: tuple[tuple[str, str, str], ...]
    starts: tuple[str, ...]


def ending(simulation: Simulation) -> Ending:
    status = simulation.experiment("tune").status
    assert status.current_optimal_trial is not None
    return Ending(
        trials=tuple(
            (trial.metadata.name, trial.spec.parameter_assignments[0].value, trial.status.conditions[-1].type)
            for trial in simulation.trials("tune")
        ),
        best=status.current_optimal_trial.best_trial_name,
        conditions=tuple((each.type, each.status, each.reason) for each in status.conditions),
        starts=tuple(sorted(simulation.world.starts)),
    )


def run_to_the_end(simulation: Simulation) -> Ending:
    """Runs one Experiment, with all rules checked after every step."""
    simulation.submit(EXPERIMENT)
    seen: list[Snapshot] = []
    versions: list[int] = []

    def is_over() -> bool:
        if simulation.faults.is_to_come:
            return False  # up to here it is the undisturbed run again
        if simulation.store.version() not in versions:
            now = simulation.snapshot("tune")
            assert broken_rules(now, seen[-1] if seen else None) == ()
            seen[:], versions[:] = [now], [simulation.store.version()]
        return False

    assert not simulation.run_until(is_over)
    assert simulation.phase("tune").is_finished
    assert broken_rules(simulation.snapshot("tune"), is_settled=True) == ()
    assert simulation.world.active == 0
    return ending(simulation)


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Ending, int]:
    simulation = Simulation(behaviour)
    return run_to_the_end(simulation), simulation.faults.calls


def test_undisturbed_it_makes_four_trials_and_finds_the_best(undisturbed: tuple[Ending, int]) -> None:
    result, calls = undisturbed
    assert [phase for _, _, phase in result.trials] == ["Succeeded", "Succeeded", "Failed", "Succeeded"]
    losses = {name: (float(value) - 0.3) ** 2 for name, value, phase in result.trials if phase == "Succeeded"}
    assert math.isclose(losses[result.best], min(losses.values()))
    assert len(set(result.starts)) == len(result.starts) == 4
    assert calls > 50


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_port_call_changes_nothing(undisturbed: tuple[Ending, int], is_after: bool) -> None:
    expected, calls = undisturbed
    for number in range(1, calls + 1):
        simulation = Simulation(behaviour, faults=Faults(at=number, is_after=is_after))
        try:
            assert run_to_the_end(simulation) == expected
        except Exception as err:
            raise AssertionError(f"killed at call {number} of {calls} ({simulation.faults.where})") from err
        assert simulation.restarts == 1


def outage(call: str) -> KatibError:
    """What a port raises when it cannot do its work now."""
    port = call.partition(".")[0]
    kinds: dict[str, type[KatibError]] = {"gateway": ServiceUnavailable, "runner": RunnerError}
    return kinds.get(port, StoreError)(f"{call} does not work now")


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_an_error_of_any_port_call_changes_nothing(undisturbed: tuple[Ending, int], is_after: bool) -> None:
    expected, calls = undisturbed
    for number in range(10, calls + 1):  # the first ones are made by the start, which fails as a whole
        simulation = Simulation(behaviour, faults=Faults(at=number, is_after=is_after, event=outage))
        try:
            assert run_to_the_end(simulation) == expected
        except Exception as err:
            raise AssertionError(f"error at call {number} of {calls} ({simulation.faults.where})") from err
        assert simulation.restarts == 0
