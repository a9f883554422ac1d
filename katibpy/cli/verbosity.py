"""The option `-v` and the logging that it turns on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

_KEY = "katibpy.cli.verbosity"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def verbosity(ctx: click.Context) -> int:
    """How many times `-v` was given, before and after the command's name together."""
    count: int = ctx.meta.get(_KEY, 0)
    return count


def verbose_option(command: _Command) -> _Command:
    """Adds `-v` to a command; the command need not take it as an argument."""

    def remember(ctx: click.Context, _: click.Parameter, value: int) -> None:
        ctx.meta[_KEY] = verbosity(ctx) + value

    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=remember,
        help="Log what is decided (-v) and everything (-vv); show tracebacks of unexpected errors.",
    )(command)


def log_to(write: Callable[[str], None], *, level: int) -> logging.Handler:
    """Sends the package's log records to a function, line by line; hand the result to `stop_logging`."""
    handler = _Writer(write)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("katibpy")
    logger.setLevel(level)
    logger.addHandler(handler)
    logger.propagate = False
    return handler


def stop_logging(handler: logging.Handler) -> None:
    """Takes the handler out again."""
    logger = logging.getLogger("katibpy")
    logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def log_level(count: int, *, is_quiet: bool = False) -> int:
    """The level for a number of `-v`: warnings without one, errors alone when quiet."""
    if count == 0:
        return logging.ERROR if is_quiet else logging.WARNING
    return logging.INFO if count == 1 else logging.DEBUG


class _Writer(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:  # noqa: BLE001 - the contract of logging handlers
            self.handleError(record)
