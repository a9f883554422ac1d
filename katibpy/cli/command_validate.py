"""`katib validate`: checks files without running anything."""

from __future__ import annotations

from collections.abc import Collection

import click

from katibpy.app.admission import Check
from katibpy.app.configuration import Configuration
from katibpy.app.local import local_checks, local_slots
from katibpy.app.settings_check import settings_check
from katibpy.cli.documents import STDIN, read_files
from katibpy.cli.execution_options import execution_options
from katibpy.cli.failures import Problems
from katibpy.cli.options import gpus_option
from katibpy.cli.verbosity import verbose_option
from katibpy.runners.execution import Execution

_ELSEWHERE = "all else is fine: katib validate --for any"


@click.command(epilog="Problems go to stderr, one a line: FILE:LINE: FIELD RULE.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--for",
    "target",
    type=click.Choice(("local", "any")),
    default="local",
    show_default=True,
    help="`local` also refuses what `katib run` cannot honour on this machine; `any` checks the form alone.",
)
@click.option("--allow-unknown", is_flag=True, help="Keep fields that no resource has.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace of resources that do not name one.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing about valid files.")
@gpus_option
@execution_options
@verbose_option
def validate(
    files: tuple[str, ...],
    target: str,
    allow_unknown: bool,
    namespace: str | None,
    quiet: bool,
    gpus: str,
    execution: Execution,
    configuration: Configuration,
) -> None:
    """Checks files and reports every problem of every file at once.

    A FILE is YAML or JSON and may hold several documents; - is standard input. The exit code is 2 when
    anything is wrong.
    """
    added = configuration.algorithms
    checks: tuple[Check, ...] = ()
    if target == "local":
        checks = (*local_checks(local_slots(gpus), execution), settings_check(elsewhere=added))
    try:
        valid = read_files(
            files, checks=checks, algorithms=added, allow_unknown=allow_unknown, namespace=namespace
        )
    except Problems as err:
        is_readable_again = target == "local" and STDIN not in files
        if is_readable_again and _is_fine_elsewhere(files, allow_unknown, namespace, added):
            raise Problems([*err.problems, _ELSEWHERE]) from None
        raise
    if quiet:
        return
    for file in valid:
        for admitted in file.admitted:
            click.echo(f"{file.name}: experiment {admitted.experiment.metadata.name} is valid")
        if not file.admitted:
            click.echo(f"{file.name}: holds no experiment, only ConfigMaps")


def _is_fine_elsewhere(
    files: tuple[str, ...], allow_unknown: bool, namespace: str | None, added: Collection[str]
) -> bool:
    """Whether only this machine is in the way, and neither the form nor the algorithm."""
    checks = (settings_check(elsewhere=added),)
    try:
        read_files(files, checks=checks, algorithms=added, allow_unknown=allow_unknown, namespace=namespace)
    except Problems:
        return False
    return True
