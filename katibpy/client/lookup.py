"""Finds resources, and says clearly when one is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from katibpy.api.model import Resource
from katibpy.api.paths import did_you_mean
from katibpy.client.session import Session
from katibpy.errors import NotFound

R = TypeVar("R", bound=Resource)

_PAGE = 500
_NAMES_COMPARED = 1000


def found(session: Session, kind: type[R], namespace: str, name: str) -> R:
    """The object of that name.

    Raises:
        NotFound: there is none; the message gives the nearest name, or the namespace that has it.
    """
    noun = kind.__name__.lower()
    try:
        resources = session.resources
    except NotFound as err:
        raise NotFound(f"there is no {noun} {name!r}: nothing has run in {session.state_dir} yet") from err
    resource = resources.find(kind, namespace, name)
    if resource is not None:
        return resource
    here: list[str] = []
    elsewhere: list[str] = []
    for each in resources.list(kind, limit=_NAMES_COMPARED).items:
        if each.metadata.namespace == namespace:
            here.append(each.metadata.name)
        elif each.metadata.name == name:
            elsewhere.append(each.metadata.namespace)
    hint = f"; there is one in namespace {elsewhere[0]!r}" if elsewhere else did_you_mean(name, here)
    raise NotFound(f"there is no {noun} {name!r} in namespace {namespace!r}{hint}")


def all_of(
    session: Session, kind: type[R], namespace: str, *, labels: Mapping[str, str] | None = None
) -> Iterator[R]:
    """Every object that fits, in creation order, read page by page; none where nothing has run."""
    try:
        resources = session.resources
    except NotFound:
        return
    after: str | None = None
    while True:
        page = resources.list(kind, namespace=namespace, labels=labels, limit=_PAGE, after=after)
        yield from page.items
        if page.next is None:
            return
        after = page.next
