"""`katib delete`: takes experiments and trials out, whether a `katib run` is at work or not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
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
    try:
        with LocalEngine(state_dir) as engine:
            for resource in objects:
                engine.delete(kind, namespace, resource.metadata.name)
            for resource in objects:
                name = resource.metadata.name
                is_gone = engine.wait_removed(kind, namespace, name, timeout_seconds=timeout_seconds)
                _report(resource, is_gone=is_gone, timeout_seconds=timeout_seconds)
    except StateDirectoryLocked:
        _delete_beside(state_dir, objects, timeout_seconds=0.0 if no_wait else timeout_seconds)
    finally:
        stop_logging(logging_handler)


def _question(resources: ResourceStore, objects: Sequence[Resource]) -> str:
    noun = noun_of(type(objects[0]))
    names = ", ".join(each.metadata.name for each in objects)
    if noun == "trial":
        return f"Delete trial {names}?"
    trials = sum(resources.tally(each.metadata.uid or "").count() for each in objects)
    return f"Delete experiment {names} with {counted(trials, 'trial')}?"


def _delete_beside(state_dir: Path, objects: Sequence[Resource], *, timeout_seconds: float) -> None:
    """Marks the objects in the store; whoever holds the lock ends and removes them."""
    with opened(state_dir) as state:
        for resource in objects:
            _, namespace, name = resource.key
            state.resources.delete(type(resource), namespace, name)
        if not timeout_seconds:
            for resource in objects:
                click.echo(f"{noun_of(type(resource))} {resource.metadata.name} is marked for deletion")
            return
        deadline = time.monotonic() + timeout_seconds
        for resource in objects:
            is_gone = _wait(partial(_is_gone, state.resources, resource), deadline)
            _report(resource, is_gone=is_gone, timeout_seconds=timeout_seconds)


def _is_gone(resources: ResourceStore, resource: Resource) -> bool:
    _, namespace, name = resource.key
    now = resources.find(type(resource), namespace, name)
    return now is None or now.metadata.uid != resource.metadata.uid


def _wait(is_reached: Callable[[], bool], deadline: float) -> bool:
    while not is_reached():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _report(resource: Resource, *, is_gone: bool, timeout_seconds: float) -> None:
    noun, name = noun_of(type(resource)), resource.metadata.name
    if not is_gone:
        raise Failure(
            f"{noun} {name!r} is marked for deletion, but was not gone after {timeout_seconds:g} s; "
            "the next `katib run` or `katib delete` here removes it"
        )
    click.echo(f"{noun} {name} deleted")
