"""Observe: one gatherer per resource builds the view that its planner decides on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.controller.adapters import Adapters
from katibpy.core.phases import trial_phase
from katibpy.core.plan_experiment import DEFAULT_PARALLEL
from katibpy.core.records import MetricSummary
from katibpy.core.runs import RunPhase
from katibpy.core.views import ActiveTrial, ExperimentView, SuggestionView, TrialView
from katibpy.ports import ResourceStore

_PAGE = 1000

_Seen: TypeAlias = tuple[ActiveTrial, Trial]


class ActiveTrials:
    """Trials as their Experiment's planner sees them, worked out once for each version of a Trial.

    An Experiment is looked at whenever one of its Trials starts or ends; the others have not changed since,
    and stores hand out the very same objects for them. Thread-safe: a table is never changed, only replaced.
    """

    def __init__(self) -> None:
        # By the identity of Trials, which the table itself keeps from passing to other objects.
        self._known: dict[str, dict[int, _Seen]] = {}

    def of(self, experiment_uid: str, trials: Sequence[Trial]) -> tuple[ActiveTrial, ...]:
        """The active Trials of an Experiment, in the order given."""
        if not trials:
            self._known.pop(experiment_uid, None)
            return ()
        known = self._known.get(experiment_uid, {})
        found = list(map(known.get, map(id, trials)))
        if all(found):
            return tuple([active for active, _ in cast("list[_Seen]", found)])
        seen = [pair or (active_trial(trial), trial) for pair, trial in zip(found, trials, strict=True)]
        # Those that ended go now and then, not each time.
        base = known if len(known) <= 2 * len(trials) else {}
        self._known[experiment_uid] = base | dict(zip(map(id, trials), seen, strict=True))
        return tuple([active for active, _ in seen])


def active_trial(trial: Trial) -> ActiveTrial:
    """A Trial as its Experiment's planner sees it."""
    return ActiveTrial(
        name=trial.metadata.name,
        uid=trial.metadata.uid or "",
        number=trial.spec.number or 0,
        phase=trial_phase(trial.status.conditions),
        is_stopping=trial.status.stop_request is not None or trial.metadata.deletion_timestamp is not None,
    )


def gather_experiment(adapters: Adapters, experiment: Experiment, *, active: ActiveTrials) -> ExperimentView:
    """The view of an Experiment; `active` remembers its Trials from one look to the next."""
    store, uid = adapters.store, experiment.metadata.uid or ""
    meta = experiment.metadata
    suggestion = store.find(Suggestion, meta.namespace, meta.name)
    return ExperimentView(
        experiment=experiment,
        suggestion=suggestion,
        tally=store.tally(uid),
        active=active.of(uid, store.active_trials(uid)),
        proposals=store.proposals(uid, limit=experiment.spec.parallel_trial_count or DEFAULT_PARALLEL),
        now=adapters.clock.now(),
        next_number=_next_number(store, uid) if suggestion is None else 0,
    )


def _next_number(store: ResourceStore, experiment_uid: str) -> int:
    # Goes through all Trials, but only where a Suggestion was deleted that had made some.
    following, after = 0, None
    while True:
        page = store.list(Trial, owner_uid=experiment_uid, limit=_PAGE, after=after)
        following = max([following, *((trial.spec.number or 0) + 1 for trial in page.items)])
        if page.next is None:
            return following
        after = page.next


def gather_suggestion(adapters: Adapters, suggestion: Suggestion) -> SuggestionView:
    """The view of a Suggestion."""
    meta = suggestion.metadata
    experiment = adapters.store.find(Experiment, meta.namespace, meta.name)
    owners = {owner.uid for owner in meta.owner_references}
    if experiment is not None and owners and experiment.metadata.uid not in owners:
        experiment = None  # the namesake of an Experiment that is gone
    return SuggestionView(suggestion=suggestion, experiment=experiment, now=adapters.clock.now())


def gather_trial(adapters: Adapters, trial: Trial) -> TrialView:
    """The view of a Trial."""
    run = adapters.runner.observe(trial)
    collection = adapters.collector.observe(trial)
    metrics: Mapping[str, MetricSummary] = {}
    is_active = trial_phase(trial.status.conditions).is_active
    if is_active and (collection.is_drained or (run.phase is RunPhase.ABSENT and trial.status.stop_request)):
        objective = trial.spec.objective
        names = (objective.objective_metric_name, *objective.additional_metric_names)
        metrics = adapters.observations.summarize(trial.metadata.uid or "", names)
    return TrialView(trial=trial, run=run, collection=collection, metrics=metrics, now=adapters.clock.now())
