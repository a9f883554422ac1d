"""The options of `katib run` that say what is kept of trials, and how much of the disk they may take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from katibpy.api.quantity import ceiling, parse_quantity
from katibpy.app.housekeeping import Housekeeping
from katibpy.core.retention import KeepTrials
from katibpy.errors import InputError
from katibpy.runners.free_disk import DEFAULT_FLOOR, DiskFloor, parse_floor

_Command = TypeVar("_Command", bound=Callable[..., Any])

SPELLINGS = {"keep_trials": "--keep-trials", "log_limit": "--log-limit", "min_free_disk": "--min-free-disk"}
"""What the options are called, by the names of their parameters."""

_NO_LIMIT = "none"
_LEAST_LOG = 1 << 20


def housekeeping_options(command: _Command) -> _Command:
    """Adds the options; the command takes `housekeeping: Housekeeping`."""

    @functools.wraps(command)
    def wrapped(*args: Any, keep_trials: str, log_limit: str, min_free_disk: str, **others: Any) -> Any:
        found = Housekeeping(
            keep_trials=KeepTrials(keep_trials),
            log_limit=_log_limit(log_limit),
            min_free_disk=_floor(min_free_disk),
        )
        return command(*args, housekeeping=found, **others)

    options = (
        click.option(
            "--keep-trials",
            type=click.Choice([each.value for each in KeepTrials]),
            default=KeepTrials.ALL.value,
            show_default=True,
            help="Whose files to keep once they have ended; metrics are kept of all.",
        ),
        click.option(
            "--log-limit",
            default="64Mi",
            show_default=True,
            metavar="SIZE",
            callback=_checked(_log_limit),
            help="Disk space for one trial's output, whose middle is dropped; none for any.",
        ),
        click.option(
            "--min-free-disk",
            default="",
            metavar="SIZE|PERCENT",
            callback=_checked(_floor),
            help="Start no trial while less is free.  [default: 512Mi, on small disks 2%]",
        ),
    )
    decorated: Any = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    result: _Command = decorated
    return result


def _checked(read: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str], str]:
    # The text stays: the command that resumes a run repeats it.
    def check(ctx: click.Context, param: click.Parameter, value: str) -> str:
        try:
            read(value)
        except (InputError, ValueError) as error:
            raise click.BadParameter(str(error), ctx, param) from None
        return value

    return check


def _log_limit(text: str) -> int | None:
    if text == _NO_LIMIT:
        return None
    try:
        size = ceiling(parse_quantity(text))
    except ValueError:
        raise InputError(f"must be a size (64Mi, 1G) or none, got {text!r}") from None
    if size < _LEAST_LOG:
        raise InputError(f"must be at least 1Mi, got {text!r}")
    return size


def _floor(text: str) -> DiskFloor:
    return parse_floor(text) if text else DEFAULT_FLOOR
