"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from katibpy.runners.devices import GPUS_VARIABLE

_Command = TypeVar("_Command", bound=Callable[..., Any])

STATE_DIRECTORY_VARIABLE = "KATIB_STATE_DIR"
CONFIGURATION_VARIABLE = "KATIB_CONFIG"
DEFAULT_STATE_DIRECTORY = ".katib"


def state_directory_option(command: _Command) -> _Command:
    """Adds `--state-dir`; the command takes `state_dir: Path`."""
    return click.option(
        "--state-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=DEFAULT_STATE_DIRECTORY,
        envvar=STATE_DIRECTORY_VARIABLE,
        show_default=True,
        show_envvar=True,
        metavar="DIR",
        help="Where experiments, metrics and logs are kept.",
    )(command)


def gpus_option(command: _Command) -> _Command:
    """Adds `--gpus`; the command takes `gpus: str`."""
    return click.option(
        "--gpus",
        default="auto",
        envvar=GPUS_VARIABLE,
        show_default=True,
        show_envvar=True,
        metavar="GPUS",
        help="GPUs that trials may be given: auto for all that NVIDIA's driver shows, some by number or uid "
        "(0,1), or none to leave GPUs alone.",
    )(command)


def namespace_option(command: _Command) -> _Command:
    """Adds `-n`; the command takes `namespace: str`."""
    return click.option(
        "-n",
        "--namespace",
        default="default",
        show_default=True,
        metavar="NAME",
        help="Namespace to look in.",
    )(command)


def configuration_option(command: _Command) -> _Command:
    """Adds `--config` for commands without a state directory; the command takes `config: Path | None`."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar=CONFIGURATION_VARIABLE,
        show_envvar=True,
        metavar="FILE",
        help="Configuration that says where algorithms come from.  [default: config.yaml of the state "
        "directory]",
    )(command)


def output_option(*formats: str, default: str = "table") -> Callable[[_Command], _Command]:
    """Adds `-o` with these choices; the command takes `output: str`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=default,
        show_default=True,
        help="What to print.",
    )


def usual_state_directory() -> Path:
    """Where commands without `--state-dir` look for a configuration."""
    return Path(os.environ.get(STATE_DIRECTORY_VARIABLE, DEFAULT_STATE_DIRECTORY))


def label_pairs(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    """The labels in `key=value` texts, several in each with commas."""
    found: dict[str, str] = {}
    for part in ",".join(value).split(",") if value else ():
        key, equals, wanted = part.partition("=")
        key, wanted = key.strip(), wanted.removeprefix("=").strip()
        if not equals or not key or key.endswith("!"):
            raise click.BadParameter(f"must be label=value, several with commas, got {part!r}", ctx, param)
        found[key] = wanted
    return found
