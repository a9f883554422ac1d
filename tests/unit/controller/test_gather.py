"""What planners are shown of the stores."""

from __future__ import annotations

from katibpy.api.suggestion import Suggestion
from katibpy.controller.gather import ActiveTrials, active_trial, gather_experiment, gather_suggestion
from katibpy.core.phases import TrialPhase
from katibpy.runners.simulated_world import script_of
from katibpy.testing import builders as build
from katibpy.testing.simulator import Simulation


def test_active_trials_are_worked_out_anew_when_they_change_and_only_then() -> None:
    experiment = build.as_stored(build.experiment())
    trials = [build.trial(experiment, number) for number in range(3)]
    trials = [
        trial.but(metadata=trial.metadata.but(resource_version=str(number)))
        for number, trial in enumerate(trials, start=1)
    ]
    active = ActiveTrials()
    first = active.of("uid", trials)
    assert first == tuple(active_trial(trial) for trial in trials)
    again = active.of("uid", trials)
    assert all(one is other for one, other in zip(first, again, strict=True))
    changed = build.trial(experiment, 1, TrialPhase.RUNNING)
    trials[1] = changed.but(metadata=changed.metadata.but(resource_version="9"))
    third = active.of("uid", trials)
    assert [each.phase for each in third] == ["Pending", "Running", "Pending"]
    assert third[0] is first[0]
    assert [each.number for each in active.of("uid", trials[::-1])] == [2, 1, 0]
    assert active.of("uid", ()) == ()
    assert active.of("another", trials[:1]) == third[:1]


def test_a_view_shows_as_many_proposals_as_may_run_and_the_next_number_without_a_suggestion() -> None:
    simulation = Simulation(lambda trial: script_of({"loss": 1}))
    simulation.submit(build.experiment("tune", max_trial_count=4, parallel_trial_count=2))
    simulation.run_until(lambda: False)
    adapters = simulation.controller.adapters
    view = gather_experiment(adapters, simulation.experiment("tune"), active=ActiveTrials())
    assert (view.tally.finished, view.active, view.next_number) == (4, (), 0)
    simulation.delete(Suggestion, "tune")
    simulation.run_until(lambda: simulation.snapshot("tune").suggestion is None)
    view = gather_experiment(adapters, simulation.experiment("tune"), active=ActiveTrials())
    assert view.next_number == 4


def test_a_suggestion_does_not_take_a_namesake_for_its_experiment() -> None:
    simulation = Simulation(lambda trial: script_of({}))
    experiment = simulation.submit(build.experiment("tune", max_trial_count=1))
    adapters = simulation.controller.adapters
    own = build.suggestion(experiment)
    assert gather_suggestion(adapters, own).experiment == experiment
    earlier = build.suggestion(build.as_stored(experiment, uid="an-earlier-life"))
    assert gather_suggestion(adapters, earlier).experiment is None
