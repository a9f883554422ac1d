"""`katib describe`: one resource in full."""

from __future__ import annotations

from pathlib import Path

import click

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.app.state import State
from katibpy.cli.kinds import Target, named_target_of
from katibpy.cli.options import namespace_option, state_directory_option
from katibpy.cli.output_describe import describe_experiment, describe_suggestion, describe_trial
from katibpy.cli.output_table import terminal_width
from katibpy.cli.state import found, opened
from katibpy.cli.verbosity import verbose_option
from katibpy.core.phases import trial_phase

_FAILED_SHOWN = 5


@click.command()
@click.argument(
    "target", nargs=-1, required=True, callback=named_target_of, metavar="experiment|trial|suggestion NAME..."
)
@namespace_option
@state_directory_option
@verbose_option
def describe(target: Target, namespace: str, state_dir: Path) -> None:
    """Tells all about one experiment, trial or suggestion.

    Conditions with their times and messages, the best trial, parameters, metrics, and of a trial that
    failed the end of its output.
    """
    with opened(state_dir) as state:
        described = [
            _described(state, found(state.resources, target.kind, namespace, name)) for name in target.names
        ]
    click.echo("\n\n".join(described))


def _described(state: State, resource: Resource) -> str:
    width = terminal_width()
    if isinstance(resource, Experiment):
        active = state.resources.active_trials(resource.metadata.uid or "")
        status = resource.status
        names = (*status.failed_trial_list, *status.metrics_unavailable_trial_list)[-_FAILED_SHOWN:]
        trials = (state.resources.find(Trial, resource.metadata.namespace, name) for name in names)
        failed = [trial for trial in trials if trial is not None]
        return describe_experiment(resource, active=active, failed=failed, width=width)
    if isinstance(resource, Trial):
        output, checkpoints = _output(state, resource), _checkpoints(state, resource)
        return describe_trial(resource, output=output, checkpoints=checkpoints, width=width)
    if isinstance(resource, Suggestion):
        return describe_suggestion(resource, width=width)
    raise TypeError(f"no description of {type(resource).__name__}")


def _output(state: State, trial: Trial) -> str:
    """The file with a trial's output, or why there is none."""
    path = state.log_path(trial)
    if path.exists() or trial_phase(trial.status.conditions).is_active:
        return str(path)
    policy = state.removed_by(trial)
    return "none on this machine" if policy is None else f"removed (--keep-trials {policy.value})"


def _checkpoints(state: State, trial: Trial) -> str:
    """The directory with a trial's checkpoints; "" when it has none."""
    if not trial.spec.checkpoint_path:
        return ""
    path = state.checkpoint_path(trial)
    if path.exists() or trial_phase(trial.status.conditions).is_active:
        return str(path)
    return "removed with other files (--keep-trials), or not on this machine"
