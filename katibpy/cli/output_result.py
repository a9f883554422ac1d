"""What `katib run` prints of an Experiment at its end."""

from __future__ import annotations

import shutil
import sys

from rich.box import ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

from katibpy.api.experiment import Experiment
from katibpy.api.status_conditions import find_condition
from katibpy.cli.output_explain import finding_lines
from katibpy.core.explanation.finding import Finding
from katibpy.core.phases import ExperimentPhase, experiment_phase
from katibpy.display.failures import CommonFailure
from katibpy.display.plain_text import one_line
from katibpy.display.values import between, counted, picked

_UNLIMITED = 10_000


def result_console() -> Console:
    """Prints to stdout: in colour and as wide as the terminal if it is one, else plain and never wrapped."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _UNLIMITED
    return Console(
        file=sys.stdout, force_terminal=is_terminal, width=width, highlight=False, markup=False, emoji=False
    )


def print_result(
    console: Console,
    experiment: Experiment,
    failure: CommonFailure | None,
    finding: Finding | None = None,
    *,
    options: str = "",
) -> None:
    """How the Experiment ended, its best trial as a table, counts, duration, and why, if it failed.

    Args:
        console: where it is printed.
        experiment: as it is at its end.
        failure: the most common one of its trials.
        finding: why it failed; tells more than the common failure and takes its place.
        options: what other commands need to find the same state, such as `--state-dir DIR`.
    """
    phase = experiment_phase(experiment.status.conditions)
    ending = find_condition(experiment.status.conditions, phase.value)
    name = experiment.metadata.name
    style = "bold red" if phase is ExperimentPhase.FAILED else "bold green"
    message = ending.message if ending is not None else f"Experiment is {phase.value.lower()}"
    console.print(Text(f"{name}: {message}", style))
    if experiment.status.current_optimal_trial is not None:
        console.print(_table(experiment))
    elif phase is ExperimentPhase.SUCCEEDED and experiment.spec.objective is not None:
        metric = one_line(experiment.spec.objective.objective_metric_name)
        console.print(Text(f"No trial is the best: not one reported a finite number for {metric}"))
    console.print(Text(_counts(experiment)))
    namespace = experiment.metadata.namespace
    words = f"{'' if namespace == 'default' else f' -n {namespace}'} {options}".rstrip()
    if finding is not None:
        for line in finding_lines(finding, options=words.strip(), width=console.width):
            console.print(Text(line))
        console.print(Text(f"More: katib explain {name}{words}"))
    elif failure is not None:
        share = f"{failure.count} of {failure.total}"
        console.print(Text(f"Most common failure ({share}): {failure.message}", "red"))
        if failure.output:
            console.print(Text(f"Last output of {failure.example}: {failure.output}"))
        console.print(Text(f"See: katib logs {failure.example}{words}"))


def _table(experiment: Experiment) -> Table:
    best, objective = experiment.status.current_optimal_trial, experiment.spec.objective
    table = Table(box=ROUNDED, show_header=True, header_style="bold")
    table.add_column("Best trial", overflow="fold")
    table.add_column(best.best_trial_name if best else "", overflow="fold")
    metrics = best.observation.metrics if best else ()
    for index, metric in enumerate(metrics):
        is_objective = objective is not None and metric.name == objective.objective_metric_name
        label = Text(one_line(metric.name))
        if is_objective and objective is not None:
            goal = "" if objective.goal is None else f", goal {objective.goal:g}"
            label.append(f" ({objective.type}{goal})", "dim")
        value = Text(one_line(picked(metric, objective)), "bold" if is_objective else "")
        table.add_row(label, value, end_section=index == len(metrics) - 1)
    for item in best.parameter_assignments if best else ():
        table.add_row(Text(one_line(item.name)), Text(one_line(item.value)))
    return table


def _counts(experiment: Experiment) -> str:
    status = experiment.status
    counts = [
        f"{count} {word}"
        for word, count in (
            ("succeeded", status.trials_succeeded),
            ("failed", status.trials_failed),
            ("without metrics", status.trial_metrics_unavailable),
            ("early stopped", status.trials_early_stopped),
            ("killed", status.trials_killed),
            ("running", status.trials_running),
            ("pending", status.trials_pending),
        )
        if count
    ]
    tail = f": {', '.join(counts)}" if counts else ""
    took = between(status.start_time, status.completion_time)
    return f"{counted(status.trials, 'trial')} in {took}{tail}"
