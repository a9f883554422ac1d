"""`katib delete`: takes experiments and trials out, whether a `katib run` is at work or not."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.app.local import LocalEngine
from katibpy.cli.failures import Failure
from katibpy.cli.kinds import Target, named_target_of, noun_of
from katibpy.cli.options import namespace_option, state_directory_option
from katibpy.cli.state import found, opened
from katibpy.cli.verbosity import log_level, log_to, stop_logging, verbose_option, verbosity
from katibpy.display.values import counted
from katibpy.errors import StateDirectoryLocked
from katibpy.ports import ResourceStore

_POLL_SECONDS = 0.1
_BESIDE_SECONDS = 2.0
"""So often it looks whether another program still has the state directory."""


@click.command()
@click.argument(
    "target", nargs=-1, required=True, callback=named_target_of, metavar="experiment|trial NAME..."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@click.option("--no-wait", is_flag=True, help="Do not wait until a running `katib run` has ended them.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@namespace_option
@state_directory_option
@verbose_option
@click.pass_context
def delete(
    ctx: click.Context,
    target: Target,
    yes: bool,
    no_wait: bool,
    timeout_seconds: float,
    namespace: str,
    state_dir: Path,
) -> None:
    """Deletes experiments with all their trials, or single trials, with metrics and output.

    What runs is stopped first. When a `katib run` works on the state directory, the objects are marked
    and that process ends and removes them.
    """
    kind = target.kind
    if kind is Suggestion:
        raise click.UsageError("a suggestion is deleted with its experiment: delete experiment NAME")
    with opened(state_dir) as state:
        objects = [found(state.resources, kind, namespace, name) for name in target.names]
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            click.confirm(_question(state.resources, objects), abort=True, err=True)
    logging_handler = log_to(partial(click.echo, err=True), level=log_level(verbosity(ctx)))
    deadline = time.monotonic() + (0.0 if no_wait else timeout_seconds)
    left: list[Resource] = list(objects)
    try:
        while left:
            try:
                with LocalEngine(state_dir) as engine:
                    _delete_here(engine, left, timeout_seconds=timeout_seconds)
                break
            except StateDirectoryLocked:
                # Who has the directory may end before having removed them; then it is for this command to do.
                left = _delete_beside(state_dir, left, deadline=deadline)
                if left and time.monotonic() >= deadline:
                    _report_left(left, timeout_seconds=0.0 if no_wait else timeout_seconds)
                    break
    finally:
        stop_logging(logging_handler)


def _question(resources: ResourceStore, objects: Sequence[Resource]) -> str:
    noun = noun_of(type(objects[0]))
    names = ", ".join(each.metadata.name for each in objects)
    if noun == "trial":
        return f"Delete trial {names}?"
    trials = sum(resources.tally(each.metadata.uid or "").count() for each in objects)
    return f"Delete experiment {names} with {counted(trials, 'trial')}?"


def _delete_here(engine: LocalEngine, objects: Sequence[Resource], *, timeout_seconds: float) -> None:
    for resource in objects:
        engine.delete(*_place(resource))
    for resource in objects:
        if not engine.wait_removed(*_place(resource), timeout_seconds=timeout_seconds):
            _report_left([resource], timeout_seconds=timeout_seconds)
        _report_gone(resource)


def _place(resource: Resource) -> tuple[type[Resource], str, str]:
    return type(resource), resource.metadata.namespace, resource.metadata.name


def _delete_beside(state_dir: Path, objects: Sequence[Resource], *, deadline: float) -> list[Resource]:
    """Marks the objects in the store for whoever holds the lock to end and remove; what was not gone soon."""
    with opened(state_dir) as state:
        left = [each for each in objects if not _is_gone(state.resources, each)]
        for resource in left:
            state.resources.delete(*_place(resource))
        until = min(deadline, time.monotonic() + _BESIDE_SECONDS)
        while True:
            left = [each for each in left if not _is_gone(state.resources, each)]
            if not left or time.monotonic() >= until:
                break
            time.sleep(_POLL_SECONDS)
    for resource in objects:
        if resource not in left:
            _report_gone(resource)
    return left


def _is_gone(resources: ResourceStore, resource: Resource) -> bool:
    _, namespace, name = resource.key
    now = resources.find(type(resource), namespace, name)
    return now is None or now.metadata.uid != resource.metadata.uid


def _report_gone(resource: Resource) -> None:
    click.echo(f"{noun_of(type(resource))} {resource.metadata.name} deleted")


def _report_left(objects: Sequence[Resource], *, timeout_seconds: float) -> None:
    """Tells what was not gone in time, which is no failure when nobody wanted to wait."""
    if not timeout_seconds:
        for resource in objects:
            click.echo(f"{noun_of(type(resource))} {resource.metadata.name} is marked for deletion")
        return
    names = ", ".join(repr(each.metadata.name) for each in objects)
    noun, are, they = noun_of(type(objects[0])), "is", "it"
    if len(objects) > 1:
        noun, are, they = f"{noun}s", "are", "them"
    raise Failure(
        f"{noun} {names} {are} marked for deletion, but not gone after {timeout_seconds:g} s; "
        f"the next `katib run` or `katib delete` here removes {they}"
    )
