"""`katib logs`: what a trial wrote."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from katibpy.api.trial import Trial
from katibpy.app.state import State
from katibpy.app.trial_output import OutputReader
from katibpy.cli.failures import Failure
from katibpy.cli.kinds import bare_name
from katibpy.cli.options import namespace_option, state_directory_option
from katibpy.cli.state import found, opened
from katibpy.cli.verbosity import verbose_option
from katibpy.core.phases import trial_phase

_POLL_SECONDS = 0.2


@click.command()
@click.argument("name", callback=bare_name, metavar="TRIAL")
@click.option("-f", "--follow", is_flag=True, help="Go on until the trial has ended.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Begin with the last N lines.")
@click.option("--replica", default="", metavar="NAME", help="One process of a distributed trial: worker-0.")
@namespace_option
@state_directory_option
@verbose_option
def logs(name: str, follow: bool, tail: int | None, replica: str, namespace: str, state_dir: Path) -> None:
    """Prints the standard output and standard error of a trial, byte by byte as it wrote them.

    Of a distributed trial it is the output of its primary process, and with --replica that of another.
    """
    with opened(state_dir) as state:
        trial = found(state.resources, Trial, namespace, name)
        path = _path(state, trial, replica, is_waiting=follow)
        if path is None:
            return
        with OutputReader(path) as reader:
            if tail is not None:
                reader.skip_to_last_lines(tail)
            _copy(reader)
            while follow and _is_active(state, trial):
                time.sleep(_POLL_SECONDS)
                _copy(reader)
            _copy(reader)


def _path(state: State, trial: Trial, replica: str, *, is_waiting: bool) -> Path | None:
    """The file with the trial's output; None when the trial ended without one while it was waited for.

    Raises:
        Failure: there is none.
    """
    has_waited = False
    while True:
        is_active = _is_active(state, trial)
        path = state.log_path(trial, replica)
        if path.exists():
            return path
        if not is_active and has_waited:
            return None
        if not is_active and not path.parent.is_dir():
            raise Failure(_nothing_left(state, trial))
        if replica and (not is_active or state.log_path(trial).exists()):
            known = ", ".join(state.replicas(trial)) or "none; its output is that of its one process"
            raise Failure(f"trial {trial.metadata.name!r} has no replica {replica!r}, but {known}")
        if not is_active:
            raise Failure(_nothing_left(state, trial))
        if not is_waiting:
            raise Failure(f"trial {trial.metadata.name!r} has not started yet; wait for it with -f")
        has_waited = True
        time.sleep(_POLL_SECONDS)


def _nothing_left(state: State, trial: Trial) -> str:
    name, policy = trial.metadata.name, state.removed_by(trial)
    if policy is None:
        return f"trial {name!r} left no output on this machine"
    return (
        f"the output of trial {name!r} was removed after it ended (--keep-trials {policy.value}); "
        f"its metrics are kept, see `katib metrics {name}`"
    )


def _is_active(state: State, trial: Trial) -> bool:
    now = state.resources.find(Trial, trial.metadata.namespace, trial.metadata.name)
    return (
        now is not None
        and now.metadata.uid == trial.metadata.uid
        and trial_phase(now.status.conditions).is_active
    )


def _copy(reader: OutputReader) -> None:
    out = sys.stdout.buffer
    while chunk := reader.read():
        out.write(chunk)
    out.flush()
