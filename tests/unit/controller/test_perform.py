"""Every instruction is known to the performer."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest

from katibpy.controller.perform import Performer
from katibpy.core import instructions
from katibpy.core.instructions import AskAlgorithm, Instruction, SaveReply, ValidateSettings
from katibpy.runners.simulated_world import script_of
from katibpy.testing import builders as build
from katibpy.testing.port_faults import Faults
from katibpy.testing.simulator import Simulation

ANSWERED_BY_METHODS_OF_THEIR_OWN = {ValidateSettings, AskAlgorithm, SaveReply}


def performer() -> Performer:
    simulation = Simulation(lambda trial: script_of({}), faults=Faults())
    return Performer(
        simulation.controller.adapters,
        enqueue=lambda key: None,
        wrote=lambda version: None,
        request_timeout_seconds=1,
    )


def test_the_performer_handles_exactly_the_instructions_there_are() -> None:
    assert performer().handles() == frozenset(get_args(Instruction))


def test_the_union_holds_every_instruction_that_is_defined() -> None:
    defined = {
        each
        for each in vars(instructions).values()
        if isinstance(each, type)
        and dataclasses.is_dataclass(each)
        and each.__module__ == instructions.__name__
    }
    assert defined - {instructions.Plan} == set(get_args(Instruction))


@pytest.mark.parametrize("kind", get_args(Instruction), ids=lambda kind: kind.__name__)
def test_instructions_are_values_that_say_what_they_ask_for(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")  # the one that dataclasses make up


def test_performing_a_stop_twice_or_too_late_changes_nothing() -> None:
    simulation = Simulation(lambda trial: script_of({"loss": 1}, duration_seconds=50))
    simulation.submit(build.experiment("tune", max_trial_count=1))
    simulation.run_until(lambda: simulation.world.active == 1)
    simulation.settle()
    (trial,) = simulation.trials("tune")
    step = instructions.RequestStop(
        "default", trial.metadata.name, trial.metadata.uid or "", build.stop_request()
    )
    performer = Performer(
        simulation.controller.adapters,
        enqueue=simulation.controller.queue.add,
        wrote=lambda version: None,
        request_timeout_seconds=1,
    )
    performer.perform(step)
    version = simulation.store.version()
    performer.perform(step)
    assert simulation.store.version() == version
    simulation.run_until(lambda: False)
    version = simulation.store.version()
    performer.perform(step)  # it has ended
    performer.perform(dataclasses.replace(step, trial_uid="another-life"))
    performer.perform(dataclasses.replace(step, trial_name="never-heard-of"))
    assert simulation.store.version() == version
