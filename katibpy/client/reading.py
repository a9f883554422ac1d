"""The calls of `KatibClient` that only read; they work beside whoever runs experiments."""

from __future__ import annotations

from collections.abc import Iterator

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition
from katibpy.api.status_conditions import has_condition
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.client.lookup import all_of, found
from katibpy.client.output import log_lines
from katibpy.client.results import MetricLog, OptimalHyperparameters, metric_log, optimal_hyperparameters
from katibpy.client.session import Session
from katibpy.client.submitting import choices_of
from katibpy.core.phases import ExperimentPhase, TrialPhase, trial_phase
from katibpy.errors import NotFound, Unsupported


class Reader:
    """Looks into a state directory.

    Where a method takes `timeout`, it is for code written for Katib's client: nothing here waits. A method
    whose `namespace` is not given looks into the client's.

    Attributes:
        namespace: of everything that does not name one.
    """

    def __init__(self, session: Session, namespace: str) -> None:
        """Takes the state directory's session."""
        self.namespace = namespace
        self._session = session

    def get_experiment(
        self, name: str, namespace: str | None = None, *, timeout: float | None = None
    ) -> Experiment:
        """An Experiment as it is now.

        Raises:
            NotFound: there is none of that name.
        """
        return found(self._session, Experiment, namespace or self.namespace, name)

    def list_experiments(
        self, namespace: str | None = None, *, timeout: float | None = None
    ) -> list[Experiment]:
        """All Experiments of a namespace, in creation order."""
        return list(all_of(self._session, Experiment, namespace or self.namespace))

    def get_experiment_conditions(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> list[Condition]:
        """The conditions of an Experiment, the newest last.

        Args:
            name: of the Experiment.
            namespace: of the Experiment.
            experiment: look at this one instead of the one that is stored.
            timeout: not needed.

        Raises:
            NotFound: there is none of that name.
        """
        if experiment is None:
            experiment = self.get_experiment(name or "", namespace)
        return list(experiment.status.conditions)

    def is_experiment_created(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether the controller has seen it; arguments as for `get_experiment_conditions`."""
        return self._is(ExperimentPhase.CREATED, name, namespace, experiment)

    def is_experiment_running(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether it runs; arguments as for `get_experiment_conditions`."""
        return self._is(ExperimentPhase.RUNNING, name, namespace, experiment)

    def is_experiment_restarting(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether it goes on after its end; arguments as for `get_experiment_conditions`."""
        return self._is(ExperimentPhase.RESTARTING, name, namespace, experiment)

    def is_experiment_succeeded(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether it has succeeded; arguments as for `get_experiment_conditions`."""
        return self._is(ExperimentPhase.SUCCEEDED, name, namespace, experiment)

    def is_experiment_failed(
        self,
        name: str | None = None,
        namespace: str | None = None,
        *,
        experiment: Experiment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether it has failed; arguments as for `get_experiment_conditions`."""
        return self._is(ExperimentPhase.FAILED, name, namespace, experiment)

    def get_suggestion(
        self, name: str, namespace: str | None = None, *, timeout: float | None = None
    ) -> Suggestion:
        """The Suggestion of the Experiment of that name.

        Raises:
            NotFound: there is none of that name.
        """
        return found(self._session, Suggestion, namespace or self.namespace, name)

    def list_suggestions(
        self, namespace: str | None = None, *, timeout: float | None = None
    ) -> list[Suggestion]:
        """All Suggestions of a namespace, in creation order."""
        return list(all_of(self._session, Suggestion, namespace or self.namespace))

    def get_trial(self, name: str, namespace: str | None = None, *, timeout: float | None = None) -> Trial:
        """A Trial as it is now.

        Raises:
            NotFound: there is none of that name.
        """
        return found(self._session, Trial, namespace or self.namespace, name)

    def list_trials(
        self,
        experiment_name: str | None = None,
        namespace: str | None = None,
        *,
        timeout: float | None = None,
    ) -> list[Trial]:
        """Trials in creation order: of one Experiment, or of all of the namespace."""
        labels = None if experiment_name is None else {EXPERIMENT_LABEL: experiment_name}
        return list(all_of(self._session, Trial, namespace or self.namespace, labels=labels))

    def get_success_trial_details(
        self,
        experiment_name: str | None = None,
        namespace: str | None = None,
        *,
        timeout: float | None = None,
    ) -> list[dict[str, object]]:
        """`name`, `parameter_assignments` and `metrics` of every Trial that succeeded."""
        return [
            {
                "name": trial.metadata.name,
                "parameter_assignments": list(trial.spec.parameter_assignments),
                "metrics": list(trial.status.observation.metrics if trial.status.observation else ()),
            }
            for trial in self.list_trials(experiment_name, namespace)
            if trial_phase(trial.status.conditions) is TrialPhase.SUCCEEDED
        ]

    def get_optimal_hyperparameters(
        self, name: str, namespace: str | None = None, *, timeout: float | None = None
    ) -> OptimalHyperparameters | None:
        """The best Trial so far, None while there is none.

        Its `parameters` are typed, so they can be handed on: `train(best.parameters)`.

        Raises:
            NotFound: there is no such Experiment.
        """
        experiment = self.get_experiment(name, namespace)
        return optimal_hyperparameters(experiment, choices_of(self._session, experiment))

    def get_trial_metrics(
        self,
        name: str,
        namespace: str | None = None,
        *,
        db_manager_address: str | None = None,
        timeout: float | None = None,
    ) -> list[MetricLog]:
        """Every value that a Trial reported, in the order of their times.

        Raises:
            NotFound: there is no such Trial.
            Unsupported: a DB manager is named.
        """
        if db_manager_address is not None:
            raise Unsupported(
                "db_manager_address names a service of a cluster, and here metrics are in the state "
                "directory: leave it out"
            )
        trial = self.get_trial(name, namespace)
        return [metric_log(value) for value in self._session.observations.read(trial.metadata.uid or "")]

    def get_job_logs(
        self,
        name: str,
        trial_name: str | None = None,
        *,
        follow: bool = False,
        namespace: str | None = None,
    ) -> Iterator[str]:
        """The output of a Trial, line by line.

        Args:
            name: of the Experiment.
            trial_name: which of its Trials; the best one when not given, the first while there is none.
            follow: go on until the Trial has ended.
            namespace: of the Experiment.

        Raises:
            NotFound: there is no such Experiment or Trial.
        """
        if trial_name is None:
            trial_name = self._shown_trial(self.get_experiment(name, namespace))
        trial = self.get_trial(trial_name, namespace)
        return log_lines(self._session, trial, follow=follow)

    def _shown_trial(self, experiment: Experiment) -> str:
        best = experiment.status.current_optimal_trial
        if best is not None:
            return best.best_trial_name
        trials = self._session.resources.list(Trial, owner_uid=experiment.metadata.uid, limit=1).items
        if not trials:
            raise NotFound(f"experiment {experiment.metadata.name!r} has no trials yet")
        return trials[0].metadata.name

    def _is(
        self,
        phase: ExperimentPhase,
        name: str | None,
        namespace: str | None,
        experiment: Experiment | None,
    ) -> bool:
        return has_condition(
            self.get_experiment_conditions(name, namespace, experiment=experiment), phase.value
        )
