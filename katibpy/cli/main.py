"""The entry point of `katib`: finds the command, turns errors into one message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import sys
import traceback
from dataclasses import dataclass
from typing import Any

import click

from katibpy.app.loading import collection_paused
from katibpy.cli.failures import INTERRUPTED, Failure, failure_of
from katibpy.cli.verbosity import verbose_option, verbosity
from katibpy.errors import KatibError

HELP = """Tunes hyperparameters: runs Experiments written for Kubeflow Katib on this machine.

\b
  katib run experiment.yaml          run it to its best parameters
  katib get trials -e NAME           see its trials
  katib explain NAME                 see why it is stuck, or how it ended
"""
EXIT_CODES = """\b
Exit codes:
  0    it went well; an Experiment that ran has succeeded
  1    it failed; an Experiment that ran has failed
  2    bad input: an option, a file, a name or a state directory
  130  interrupted
"""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command that is not imported before it is called.

    Attributes:
        module: where the command is, as an attribute of its own name with `_` for `-`.
        summary: its line in `katib --help`.
        is_served: it needs the algorithm service, which is begun to be loaded before the command is.
    """

    module: str
    summary: str
    is_served: bool = False


COMMANDS = {
    "run": CommandRow(
        "katibpy.cli.command_run", "Run experiments to their end on this machine.", is_served=True
    ),
    "validate": CommandRow("katibpy.cli.command_validate", "Check files and report every problem at once."),
    "get": CommandRow("katibpy.cli.command_get", "List experiments, trials or suggestions."),
    "describe": CommandRow(
        "katibpy.cli.command_describe", "Tell all about an experiment, trial or suggestion."
    ),
    "explain": CommandRow(
        "katibpy.cli.command_explain", "Tell why an experiment is not advancing, or how it ended."
    ),
    "logs": CommandRow("katibpy.cli.command_logs", "Print what a trial wrote."),
    "metrics": CommandRow("katibpy.cli.command_metrics", "Print the metric values that a trial reported."),
    "delete": CommandRow("katibpy.cli.command_delete", "Delete experiments or trials."),
    "algorithms": CommandRow("katibpy.cli.command_algorithms", "Show search algorithms and their settings."),
    "serve-algorithms": CommandRow(
        "katibpy.cli.command_serve_algorithms", "Serve the search algorithms over gRPC."
    ),
    "conformance": CommandRow(
        "katibpy.cli.command_conformance", "Hold a search algorithm, here or elsewhere, to its promises."
    ),
    "version": CommandRow("katibpy.cli.command_version", "Print the version."),
}


class KatibGroup(click.Group):
    """Loads a command when it is called, and reports errors of the package as one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table: from what one does first to what one does last."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command; None when there is none of that name."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        with collection_paused():
            command: click.Command = getattr(importlib.import_module(row.module), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that does not exist."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from katibpy.catalog import nearest

            near = nearest(name, COMMANDS)
            hint = f"; did you mean {near!r}?" if near else f"; commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        if name in COMMANDS and COMMANDS[name].is_served and not _only_asks(ctx, args):
            from katibpy.launchers.spare_child import SpareChild

            ctx.obj = ctx.with_resource(SpareChild())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from the table, so that none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; every error that leaves is one that click prints in a line or ends with."""
        try:
            return super().invoke(ctx)
        except KatibError as err:
            raise failure_of(err) from err
        except KeyboardInterrupt:
            click.echo(err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as err:
            if err.errno == errno.EPIPE:
                raise
            raise _unexpected(ctx, err) from err
        except Exception as err:
            raise _unexpected(ctx, err) from err


def _only_asks(ctx: click.Context, args: list[str]) -> bool:
    """Whether help is asked for, or how the words could go on."""
    return ctx.resilient_parsing or any(word in args for word in ctx.help_option_names)


def _unexpected(ctx: click.Context, err: Exception) -> Failure:
    if verbosity(ctx):
        traceback.print_exception(err)
        return Failure(f"unexpected {type(err).__name__}: {err}")
    advice = "the same command with -v shows where"
    return Failure(f"unexpected {type(err).__name__}: {err} ({advice})")


@click.group(
    cls=KatibGroup,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(None, "--version", package_name="katibpy", prog_name="katib")
@verbose_option
def katib() -> None:
    """The group; its commands do the work."""


def main() -> None:
    """Runs the command line of this process and ends it with the command's exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A value that the terminal's encoding lacks must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors="replace")
    katib(prog_name="katib")
