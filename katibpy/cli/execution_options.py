"""The options of `katib run` that say how trials are run on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from katibpy.app.configuration import RUNNERS, read_configuration
from katibpy.app.execution import local_execution
from katibpy.cli.options import CONFIGURATION_VARIABLE
from katibpy.runners.container.catalog import ENGINES

_Command = TypeVar("_Command", bound=Callable[..., Any])

SPELLINGS = {"runner": "--runner", "engine": "--engine", "config": "--config"}
"""What the options are called, by the names of their parameters."""


def execution_options(command: _Command) -> _Command:
    """Adds the options; the command takes `execution` and `configuration`, and `state_dir` if it has one."""

    @functools.wraps(command)
    def wrapped(
        *args: Any, runner: str | None, engine: str | None, config: Path | None, **others: Any
    ) -> Any:
        state_dir = others.get("state_dir") or Path(".katib")
        configuration = read_configuration(state_dir, config)
        execution = local_execution(configuration, runner=runner or "", engine=engine or "")
        return command(*args, execution=execution, configuration=configuration, **others)

    options = (
        click.option(
            "--runner",
            type=click.Choice(RUNNERS),
            help="How trials are run: as processes (local) or in their images (container).  [default: local]",
        ),
        click.option(
            "--engine",
            type=click.Choice(list(ENGINES)),
            help="What runs containers.  [default: the first of these that works]",
        ),
        click.option(
            "--config",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar=CONFIGURATION_VARIABLE,
            show_envvar=True,
            metavar="FILE",
            help="Configuration of this machine.  [default: config.yaml of the state directory]",
        ),
    )
    decorated: Any = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    result: _Command = decorated
    return result
