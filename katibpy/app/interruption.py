"""What an ended controller leaves in the store, so that nobody takes stopped trials for running ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition, Model, Resource
from katibpy.api.status_conditions import has_condition, set_condition
from katibpy.core.phases import experiment_phase
from katibpy.errors import Conflict
from katibpy.ports import Clock, ResourceStore

logger = logging.getLogger(__name__)

REASON = "Interrupted"
MESSAGE = "katib was stopped; it goes on when the Experiment is run again"


def mark_interrupted(store: ResourceStore, names: Iterable[tuple[str, str]], *, clock: Clock) -> None:
    """Sets Running to False on unfinished Experiments and their active Trials, whose runs were withdrawn."""
    for namespace, name in names:
        experiment = store.find(Experiment, namespace, name)
        if experiment is None or experiment_phase(experiment.status.conditions).is_finished:
            continue
        for trial in store.active_trials(experiment.metadata.uid or ""):
            _replace(store, trial, trial.status.but(conditions=_paused(trial.status.conditions, clock)))
        status = experiment.status.but(conditions=_paused(experiment.status.conditions, clock))
        _replace(store, experiment, status)


def _paused(conditions: tuple[Condition, ...], clock: Clock) -> tuple[Condition, ...]:
    if not has_condition(conditions, "Running"):
        return conditions
    paused = Condition(type="Running", status="False", reason=REASON, message=MESSAGE)
    return set_condition(conditions, paused, clock.now())


def _replace(store: ResourceStore, resource: Resource, status: Model) -> None:
    try:
        store.replace_status(resource.but(status=status))
    except Conflict:
        logger.debug("%s %s/%s changed meanwhile, so somebody works on it", *resource.key)
