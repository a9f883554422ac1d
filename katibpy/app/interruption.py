"""What an ended controller leaves in the store, so that nobody takes stopped trials for running ones."""

from __future__ import annotations

from collections.abc import Iterable

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition
from katibpy.api.status_conditions import has_condition, set_condition
from katibpy.core.phases import experiment_phase
from katibpy.errors import Conflict
from katibpy.ports import Clock, ResourceStore

REASON = "Interrupted"
MESSAGE = "katib was stopped; it goes on when the Experiment is run again"


def mark_interrupted(store: ResourceStore, names: Iterable[tuple[str, str]], *, clock: Clock) -> None:
    """Sets Running to False on unfinished Experiments and their active Trials, whose runs were withdrawn."""
    for namespace, name in names:
        experiment = store.find(Experiment, namespace, name)
        if experiment is None or experiment_phase(experiment.status.conditions).is_finished:
            continue
        for resource in (*store.active_trials(experiment.metadata.uid or ""), experiment):
            conditions = resource.status.conditions
            if not has_condition(conditions, "Running"):
                continue
            paused = Condition(type="Running", status="False", reason=REASON, message=MESSAGE)
            status = resource.status.but(conditions=set_condition(conditions, paused, clock.now()))
            try:
                store.replace_status(resource.but(status=status))
            except Conflict:
                continue  # somebody else works on it, and knows better
