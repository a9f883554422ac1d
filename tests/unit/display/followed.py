"""An Experiment in a store in memory, whose trials begin and end as a test says."""

from __future__ import annotations

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.core.building import suggestion_of
from katibpy.core.phases import TrialPhase
from katibpy.core.records import ObservedValue
from katibpy.display.follower import Follower
from katibpy.stores.memory_observations import MemoryObservationStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.testing import builders


class Followed:
    """The stores and what stands in them.

    Attributes:
        seconds: what the follower's clock shows.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.resources = MemoryResourceStore(SystemClock())
        self.observations = MemoryObservationStore()
        self.seconds = 0.0
        self.experiment = self.resources.create(experiment)
        self.resources.create(suggestion_of(self.experiment, 100))
        self._next = 0

    def follower(self, *, running_limit: int = 5) -> Follower:
        """Follows from now on."""
        return Follower(
            self.resources,
            self.observations,
            self.experiment,
            running_limit=running_limit,
            monotonic=lambda: self.seconds,
        )

    def begin(self, **assignments: object) -> Trial:
        """A new trial that runs."""
        proposal = builders.proposal(self.experiment, self._next, **assignments)
        suggestion = self.resources.find(Suggestion, *self.experiment.key[1:])
        assert suggestion is not None
        self._next += 1
        counted = suggestion.status.but(suggestion_count=self._next)
        self.resources.save_reply(suggestion.but(status=counted), [proposal.assignment], memory=None)
        trial = builders.trial(self.experiment, proposal.number, TrialPhase.RUNNING)
        spec = trial.spec.but(parameter_assignments=proposal.assignment.parameter_assignments)
        meta = trial.metadata.but(name=proposal.assignment.name, uid=None, resource_version=None)
        return self.resources.create_trial(trial.but(metadata=meta, spec=spec))

    def report(self, trial: Trial, text: str, *, metric: str = "loss") -> None:
        """A value of a trial that runs."""
        values = self.observations.read(trial.metadata.uid or "")
        self.observations.append(
            trial.metadata.uid or "", [ObservedValue(len(values), metric, text, float(len(values)))]
        )

    def end(
        self, trial: Trial, phase: TrialPhase = TrialPhase.SUCCEEDED, *, message: str = "", **metrics: object
    ) -> str:
        """Ends a trial; its name."""
        conditions = builders.trial_conditions(phase)
        conditions = (*conditions[:-1], conditions[-1].but(message=message))
        status = trial.status.but(
            conditions=conditions,
            completion_time=builders.moment(self.seconds),
            observation=builders.observation(metrics) if metrics else None,
        )
        self.resources.replace_status(trial.but(status=status))
        return trial.metadata.name

    def finish(self, phase: str) -> None:
        """Ends the Experiment."""
        stored = self.resources.find(Experiment, *self.experiment.key[1:])
        assert stored is not None
        ending = builders.condition(phase, reason="Experiment", message=f"Experiment has {phase.lower()}")
        self.resources.replace_status(stored.but(status=stored.status.but(conditions=(ending,))))
