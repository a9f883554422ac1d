"""`katib describe`: one resource in full."""

from __future__ import annotations

import json
from collections.abc import Sequence

from katibpy.api.experiment import Experiment, Objective, ParameterSpec
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.cli.output_conditions import write_conditions, write_metadata, write_metrics
from katibpy.cli.output_lists import phase_of
from katibpy.cli.output_table import Column
from katibpy.cli.output_text import Page
from katibpy.display.failures import failure_line, last_output
from katibpy.display.values import (
    NOTHING,
    assignments,
    between,
    counted,
    local_time,
)

_ACTIVE_COLUMNS = (
    Column("NAME"),
    Column("PHASE"),
    Column("TIME", is_number=True),
    Column("PARAMETERS", is_flexible=True),
)
_FAILED_COLUMNS = (
    Column("NAME"),
    Column("PARAMETERS", is_flexible=True),
    Column("WHY", is_flexible=True),
)


def describe_experiment(
    experiment: Experiment,
    *,
    active: Sequence[Trial] = (),
    failed: Sequence[Trial] = (),
    width: int | None = None,
) -> str:
    """An Experiment in full.

    Args:
        experiment: the resource.
        active: its trials that have not ended.
        failed: some of those that failed, the newest last.
        width: of the terminal, None when there is none.
    """
    page = Page(width=width)
    spec, status = experiment.spec, experiment.status
    write_metadata(page, experiment.metadata)
    page.field("Phase", phase_of(experiment))
    page.field("Started", local_time(status.start_time))
    page.field("Ended", local_time(status.completion_time))
    page.field("Duration", between(status.start_time, status.completion_time))
    _write_objective(page, spec.objective)
    for title, algorithm in (("Algorithm", spec.algorithm), ("Early stopping", spec.early_stopping)):
        if algorithm is not None:
            page.section(title)
            page.field("Name", algorithm.algorithm_name)
            for setting in algorithm.algorithm_settings:
                page.field(setting.name, setting.value)
    page.section("Budget")
    page.field("Parallel trials", spec.parallel_trial_count)
    page.field("Max trials", "no limit" if spec.max_trial_count is None else spec.max_trial_count)
    limit = spec.max_failed_trial_count
    page.field("Max failed", "no limit" if limit is None else limit)
    page.field("Resume policy", spec.resume_policy or NOTHING)
    if spec.seed is not None:
        page.field("Seed", spec.seed)
    if spec.parameters:
        page.section("Parameters")
        _write_parameters(page, spec.parameters)
    if spec.nas_config is not None:
        page.section("Network search")
        page.field("Layers", spec.nas_config.graph_config.num_layers)
        page.field("Operations", ", ".join(each.operation_type for each in spec.nas_config.operations))
    page.section("Trials")
    _write_counts(page, experiment)
    _write_best(page, experiment)
    if active:
        page.section("Active trials")
        page.table(_ACTIVE_COLUMNS, [_active_row(trial) for trial in active])
    if failed:
        page.section("Newest failed trials")
        page.table(_FAILED_COLUMNS, [_failed_row(trial) for trial in failed])
    write_conditions(page, status.conditions)
    return str(page)


def describe_trial(trial: Trial, *, output: str, checkpoints: str = "", width: int | None = None) -> str:
    """A Trial in full; `output` and `checkpoints` tell where those are."""
    page = Page(width=width)
    spec, status = trial.spec, trial.status
    write_metadata(page, trial.metadata)
    page.field("Experiment", trial.metadata.labels.get(EXPERIMENT_LABEL, NOTHING))
    if spec.number is not None:
        page.field("Number", spec.number + 1)
    page.field("Phase", phase_of(trial))
    page.field("Started", local_time(status.start_time))
    page.field("Ended", local_time(status.completion_time))
    page.field("Duration", between(status.start_time, status.completion_time))
    page.field("Output", output)
    if checkpoints:
        page.field("Checkpoints", checkpoints)
    page.section("Parameters")
    for item in spec.parameter_assignments:
        page.field(item.name, item.value)
    page.section("Metrics")
    write_metrics(page, status.observation.metrics if status.observation else (), spec.objective)
    if spec.early_stopping_rules:
        page.section("Early stopping rules")
        for rule in spec.early_stopping_rules:
            page.block(f"{rule.name} {rule.comparison} {rule.value} from report {rule.start_step} on")
    page.section("Run")
    page.field("Kind", f"{spec.run_spec.get('apiVersion', NOTHING)} {spec.run_spec.get('kind', NOTHING)}")
    page.field("Success", spec.success_condition or NOTHING)
    page.field("Failure", spec.failure_condition or NOTHING)
    for container in _containers(trial):
        page.field(f"Container {container.get('name', '')}".rstrip(), _command_line(container))
    write_conditions(page, status.conditions)
    return str(page)


def describe_suggestion(suggestion: Suggestion, *, width: int | None = None) -> str:
    """A Suggestion in full."""
    page = Page(width=width)
    spec, status = suggestion.spec, suggestion.status
    write_metadata(page, suggestion.metadata)
    page.field("Phase", phase_of(suggestion))
    page.field("Requested", spec.requests)
    page.field("Assigned", status.suggestion_count)
    page.field("Exhausted", "yes" if status.exhausted else "no")
    if status.note:
        page.field("Note", status.note)
    page.section("Algorithm")
    page.field("Name", spec.algorithm.algorithm_name)
    for setting in status.algorithm_settings or spec.algorithm.algorithm_settings:
        page.field(setting.name, setting.value)
    page.section("Newest proposals")
    if status.suggestions:
        columns = (Column("TRIAL"), Column("PARAMETERS", is_flexible=True))
        rows = [(each.name, assignments(each.parameter_assignments)) for each in status.suggestions]
        page.table(columns, rows)
    else:
        page.block("none yet")
    write_conditions(page, status.conditions)
    return str(page)


def _write_objective(page: Page, objective: Objective | None) -> None:
    if objective is None:
        return
    page.section("Objective")
    page.field("Metric", objective.objective_metric_name)
    page.field("Type", objective.type)
    if objective.goal is not None:
        page.field("Goal", f"{objective.goal:g}")
    if objective.additional_metric_names:
        page.field("Also collected", ", ".join(objective.additional_metric_names))
    strategies = objective.metric_strategies or ()
    page.field("Strategies", ", ".join(f"{each.name}: {each.value}" for each in strategies))


def _write_parameters(page: Page, parameters: Sequence[ParameterSpec]) -> None:
    columns = (Column("NAME"), Column("TYPE"), Column("FEASIBLE", is_flexible=True), Column("DISTRIBUTION"))
    rows = []
    for parameter in parameters:
        space = parameter.feasible_space
        if space.list is not None:
            feasible = ", ".join(space.list)
        else:
            step = f", step {space.step}" if space.step else ""
            feasible = f"{space.min} to {space.max}{step}"
        rows.append((parameter.name, parameter.parameter_type, feasible, space.distribution or NOTHING))
    page.table(columns, rows)


def _write_counts(page: Page, experiment: Experiment) -> None:
    status = experiment.status
    page.field("Total", status.trials)
    for label, count in (
        ("Succeeded", status.trials_succeeded),
        ("Failed", status.trials_failed),
        ("Without metrics", status.trial_metrics_unavailable),
        ("Early stopped", status.trials_early_stopped),
        ("Killed", status.trials_killed),
        ("Running", status.trials_running),
        ("Pending", status.trials_pending),
    ):
        if count:
            page.field(label, count)


def _write_best(page: Page, experiment: Experiment) -> None:
    best = experiment.status.current_optimal_trial
    page.section("Best trial")
    if best is None:
        page.block(f"none yet of {counted(experiment.status.trials, 'trial')}")
        return
    page.field("Name", best.best_trial_name)
    page.pairs("Parameters", ((each.name, each.value) for each in best.parameter_assignments))
    write_metrics(page, best.observation.metrics, experiment.spec.objective)


def _active_row(trial: Trial) -> tuple[str, str, str, str]:
    took = between(trial.status.start_time, None)
    return trial.metadata.name, phase_of(trial), took, assignments(trial.spec.parameter_assignments)


def _failed_row(trial: Trial) -> tuple[str, str, str]:
    why = last_output(trial) or failure_line(trial)
    return trial.metadata.name, assignments(trial.spec.parameter_assignments), why


def _containers(trial: Trial) -> list[dict[str, object]]:
    """The containers of a run whose pod template stands where a Job has it; () for other kinds."""
    place: object = trial.spec.run_spec
    for step in ("spec", "template", "spec", "containers"):
        place = place.get(step) if isinstance(place, dict) else None
    return [each for each in place if isinstance(each, dict)] if isinstance(place, list) else []


def _command_line(container: dict[str, object]) -> str:
    words: list[object] = []
    for part in (container.get("command"), container.get("args")):
        words += part if isinstance(part, list) else []
    return " ".join(
        word if _is_plain(word) else json.dumps(word, ensure_ascii=False) for word in map(str, words)
    )


def _is_plain(word: str) -> bool:
    return bool(word) and not any(each.isspace() or each in "\"'\\" for each in word)
