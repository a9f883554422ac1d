"""Errors as the command line reports them: a message on stderr and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import click

from katibpy.errors import InputError, InvalidResource, KatibError, NotFound, StateDirectoryLocked

FAILED = 1
"""Exit code when what was asked for could not be done, or an Experiment failed."""
BAD_INPUT = 2
"""Exit code for a wrong option, file, name or state directory."""
INTERRUPTED = 130
"""Exit code after SIGINT, SIGTERM or SIGHUP."""

_BAD_INPUT = (InputError, NotFound, StateDirectoryLocked)


class Failure(click.ClickException):
    """Ends the command with `error: MESSAGE` and exit code 1."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the message to stderr."""
        click.echo(f"error: {self.message}", file=file, err=True)


class BadInput(Failure):
    """Ends the command with `error: MESSAGE` and exit code 2."""

    exit_code = BAD_INPUT


class Problems(BadInput):
    """Ends the command with exit code 2, after one line for each problem.

    Attributes:
        problems: whole lines, most of them `FILE:LINE: PATH RULE`.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the problems to stderr."""
        click.echo(self.message, file=file, err=True)


def failure_of(error: KatibError) -> Failure:
    """How an error of the package is reported."""
    if isinstance(error, InvalidResource):
        return Problems([str(each) for each in error.errors])
    return BadInput(str(error)) if isinstance(error, _BAD_INPUT) else Failure(str(error))
