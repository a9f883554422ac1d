"""Looks into a state directory, and says clearly when something is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from katibpy.api.model import Resource
from katibpy.api.paths import nearest
from katibpy.app.state import State, open_state
from katibpy.cli.failures import BadInput
from katibpy.cli.kinds import noun_of
from katibpy.errors import NotFound
from katibpy.ports import ResourceStore

R = TypeVar("R", bound=Resource)

_PAGE = 500
_NAMES_COMPARED = 1000
_ALIKE = {"experiment": 0.6, "suggestion": 0.6, "trial": 0.93}


@contextmanager
def opened(state_dir: Path) -> Iterator[State]:
    """The state directory, open beside whoever else works on it.

    Raises:
        BadInput: there is none.
    """
    try:
        state = open_state(state_dir)
    except NotFound:
        message = (
            f"no state directory {state_dir} here: run `katib run FILE` first or give --state-dir"
            if not state_dir.is_absolute()
            else f"no state directory {state_dir}: run `katib run FILE` first or give another --state-dir"
        )
        raise BadInput(message) from None
    try:
        yield state
    finally:
        state.close()


def all_of(
    resources: ResourceStore,
    kind: type[R],
    *,
    namespace: str | None = None,
    owner_uid: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Iterator[R]:
    """Every object that fits, in creation order, read page by page."""
    after: str | None = None
    while True:
        page = resources.list(
            kind, namespace=namespace, owner_uid=owner_uid, labels=labels, limit=_PAGE, after=after
        )
        yield from page.items
        if page.next is None:
            return
        after = page.next


def found(resources: ResourceStore, kind: type[R], namespace: str, name: str) -> R:
    """The object of that name.

    Raises:
        BadInput: there is none; the message gives the nearest name, or the namespace that has it.
    """
    resource = resources.find(kind, namespace, name)
    if resource is not None:
        return resource
    raise BadInput(_missing(resources, kind, namespace, name))


def _missing(resources: ResourceStore, kind: type[Resource], namespace: str, name: str) -> str:
    noun = noun_of(kind)
    here: list[str] = []
    elsewhere: list[str] = []
    for resource in resources.list(kind, limit=_NAMES_COMPARED).items:
        if resource.metadata.namespace == namespace:
            here.append(resource.metadata.name)
        elif resource.metadata.name == name:
            elsewhere.append(resource.metadata.namespace)
    if elsewhere:
        hint = f"; there is one in namespace {elsewhere[0]!r}: add -n {elsewhere[0]}"
    elif not here:
        hint = f"; there are no {noun}s at all"
    else:
        # Trials of one experiment have names that differ only in random letters: they must be much alike.
        near = nearest(name, here, cutoff=_ALIKE[noun])
        hint = f"; did you mean {near!r}?" if near else f"; `katib get {noun}s` lists them"
    return f"there is no {noun} {name!r} in namespace {namespace!r}{hint}"
