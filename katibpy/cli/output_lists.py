"""What `katib get` shows of each kind."""

from __future__ import annotations

from collections.abc import Sequence

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition, Resource
from katibpy.api.status_conditions import current
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.app.interruption import REASON as INTERRUPTED_REASON
from katibpy.cli.output_table import Column
from katibpy.core.phases import experiment_phase, trial_phase
from katibpy.display.plain_text import clean
from katibpy.display.values import (
    NOTHING,
    age,
    assignments,
    between,
    local_time,
    objective_value,
    picked,
    short_number,
)


def phase_of(resource: Resource) -> str:
    """The one word that says how a resource is doing."""
    if resource.metadata.deletion_timestamp is not None:
        return "Deleting"
    if isinstance(resource, Experiment):
        conditions = resource.status.conditions
        return "Interrupted" if _is_interrupted(conditions) else experiment_phase(conditions).value
    if isinstance(resource, Trial):
        conditions = resource.status.conditions
        return "Interrupted" if _is_interrupted(conditions) else trial_phase(conditions).value
    if isinstance(resource, Suggestion):
        newest = next((each for each in reversed(resource.status.conditions) if each.status == "True"), None)
        return newest.type if newest is not None else "Created"
    return NOTHING


def list_columns(
    kind: type[Resource], resources: Sequence[Resource], *, is_wide: bool, with_namespace: bool
) -> tuple[Column, ...]:
    """The columns of a kind; those that nobody needs for these resources are left out."""
    first = (Column("NAMESPACE"),) if with_namespace else ()
    shown: tuple[Column, ...]
    wide: tuple[Column, ...]
    if kind is Experiment:
        wide = (Column("ALGORITHM"), Column("OBJECTIVE"), Column("BEST TRIAL"), Column("PARAMETERS"))
        shown = (
            Column("NAME"),
            Column("PHASE"),
            Column("TRIALS", is_number=True),
            Column("FAILED", is_number=True),
            Column("BEST", is_flexible=True),
            Column("AGE", is_number=True),
        )
    elif kind is Trial:
        wide = (Column("OTHER METRICS"), Column("EXPERIMENT"), Column("STARTED"), Column("MESSAGE"))
        shown = (
            Column("NAME"),
            Column("PHASE"),
            Column("OBJECTIVE"),
            Column("PARAMETERS", is_flexible=True),
            Column("TIME", is_number=True),
        )
    else:
        wide = (Column("SETTINGS"), Column("NOTE"))
        shown = (
            Column("NAME"),
            Column("PHASE"),
            Column("ALGORITHM"),
            Column("REQUESTED", is_number=True),
            Column("ASSIGNED", is_number=True),
            Column("AGE", is_number=True),
        )
    return (*first, *shown, *(wide if is_wide else ()))


def list_row(resource: Resource, *, is_wide: bool, with_namespace: bool) -> tuple[str, ...]:
    """The cells of one resource, in the order of `list_columns`."""
    first = (resource.metadata.namespace,) if with_namespace else ()
    shown: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    if isinstance(resource, Experiment):
        shown, wide = _experiment_cells(resource)
    elif isinstance(resource, Trial):
        shown, wide = _trial_cells(resource)
    elif isinstance(resource, Suggestion):
        shown, wide = _suggestion_cells(resource)
    return (*first, *shown, *(wide if is_wide else ()))


def best_value(experiment: Experiment) -> str:
    """`accuracy=0.97`, or `-`."""
    best, objective = experiment.status.current_optimal_trial, experiment.spec.objective
    if best is None or objective is None:
        return NOTHING
    name = objective.objective_metric_name
    metric = next((each for each in best.observation.metrics if each.name == name), None)
    return NOTHING if metric is None else f"{name}={short_number(picked(metric, objective))}"


def _is_interrupted(conditions: tuple[Condition, ...]) -> bool:
    newest = current(conditions)
    return newest is not None and newest.type == "Running" and newest.reason == INTERRUPTED_REASON


def _experiment_cells(experiment: Experiment) -> tuple[tuple[str, ...], tuple[str, ...]]:
    meta, spec, status = experiment.metadata, experiment.spec, experiment.status
    ended = status.trials - status.trials_running - status.trials_pending
    limit = NOTHING if spec.max_trial_count is None else str(spec.max_trial_count)
    shown = (
        meta.name,
        phase_of(experiment),
        f"{ended}/{limit}" if spec.max_trial_count is not None else str(ended),
        str(status.trials_failed + status.trial_metrics_unavailable),
        best_value(experiment),
        age(meta.creation_timestamp),
    )
    objective, best = spec.objective, status.current_optimal_trial
    wide = (
        spec.algorithm.algorithm_name if spec.algorithm else NOTHING,
        f"{objective.type} {objective.objective_metric_name}" if objective else NOTHING,
        best.best_trial_name if best else NOTHING,
        assignments(best.parameter_assignments) if best else NOTHING,
    )
    return shown, wide


def _trial_cells(trial: Trial) -> tuple[tuple[str, ...], tuple[str, ...]]:
    status, objective = trial.status, trial.spec.objective
    shown = (
        trial.metadata.name,
        phase_of(trial),
        short_number(objective_value(trial)),
        assignments(trial.spec.parameter_assignments),
        between(status.start_time, status.completion_time),
    )
    others = [
        f"{metric.name}={short_number(picked(metric, objective))}"
        for metric in (status.observation.metrics if status.observation else ())
        if metric.name != objective.objective_metric_name
    ]
    newest = current(status.conditions)
    owners = trial.metadata.owner_references
    wide = (
        " ".join(others) or NOTHING,
        owners[0].name if owners else NOTHING,
        local_time(status.start_time),
        clean(newest.message).partition("\n")[0] if newest else NOTHING,
    )
    return shown, wide


def _suggestion_cells(suggestion: Suggestion) -> tuple[tuple[str, ...], tuple[str, ...]]:
    spec, status = suggestion.spec, suggestion.status
    shown = (
        suggestion.metadata.name,
        phase_of(suggestion),
        spec.algorithm.algorithm_name or NOTHING,
        str(spec.requests),
        str(status.suggestion_count),
        age(suggestion.metadata.creation_timestamp),
    )
    settings = status.algorithm_settings or spec.algorithm.algorithm_settings
    return shown, (assignments(settings), status.note or NOTHING)
