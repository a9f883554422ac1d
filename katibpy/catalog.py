"""How every plug-in is found: by name, from rows of text.

A row says where a class lives; nothing is imported before it is asked for. Built-in rows stand in one
module for each kind, found by its dotted name, so that nothing here depends on the plug-ins themselves.
Other distributions add rows through entry points, whose name is the row's name and whose value its target.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from katibpy.errors import MissingExtra, UnknownName, Unsupported


@dataclass(frozen=True, slots=True)
class Row:
    """One plug-in.

    Attributes:
        name: what a user writes.
        target: where its class is: `package.module:Class`.
        extra: the extra of this distribution that installs what it needs; empty when nothing more is needed.
        image: container image that serves it; empty when the default image does.
        summary: one line about it.
        distribution: the Python distribution that brings it; empty for this one.
    """

    name: str
    target: str
    extra: str = ""
    image: str = ""
    summary: str = ""
    distribution: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of plug-in and where its rows are.

    Attributes:
        noun: what one is called in messages.
        module: dotted name of the module whose `ROWS` are the built-in ones; it need not exist.
        group: entry point group of other distributions; empty when there is none.
        planned: names that are known but not in this version.
    """

    noun: str
    module: str
    group: str = ""
    planned: frozenset[str] = field(default_factory=frozenset)


ALGORITHMS = Kind(
    noun="algorithm",
    module="suggestion_services.catalog",
    group="katibpy.algorithms",
    planned=frozenset(("enas", "darts")),
)
STOPPING = Kind(
    noun="early stopping algorithm",
    module="early_stopping.catalog",
    group="katibpy.stopping",
    planned=frozenset(("medianstop",)),
)


def rows(kind: Kind) -> tuple[Row, ...]:
    """All rows: the built-in ones in their own order, then those of other distributions by name.

    A name that is built in, or that an earlier distribution took, is not taken again.
    """
    found = {row.name: row for row in _built_in(kind)}
    for row in _foreign(kind.group, tuple(sys.path)):
        found.setdefault(row.name, row)
    return tuple(found.values())


def names(kind: Kind) -> tuple[str, ...]:
    """Names of all rows."""
    return tuple(row.name for row in rows(kind))


def find(kind: Kind, name: str) -> Row:
    """The row of that name.

    Raises:
        UnknownName: there is none; the message gives the nearest.
        Unsupported: the name is known, but this version does not have it.
    """
    available = rows(kind)
    for row in available:
        if row.name == name:
            return row
    known = sorted(row.name for row in available)
    listed = ", ".join(known) or "none"
    if name in kind.planned:
        raise Unsupported(f"{kind.noun} {name!r} is not part of this version yet; available: {listed}")
    near = nearest(name, [*known, *kind.planned])
    hint = f"did you mean {near!r}? " if near else ""
    raise UnknownName(f"there is no {kind.noun} {name!r}; {hint}available: {listed}")


def load(kind: Kind, name: str) -> Any:
    """The class of that name.

    Raises:
        UnknownName, Unsupported: as `find`.
        MissingExtra: something that it needs is not installed, or its target is not there.
    """
    row = find(kind, name)
    module_name, _, attribute = row.target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        remedy = (
            f"; run: pip install 'katibpy[{row.extra}]'"
            if row.extra
            else f"; it comes from the distribution {row.distribution}"
            if row.distribution
            else ""
        )
        raise MissingExtra(
            f"{kind.noun} {name!r} ({row.target}) cannot be loaded: {error}{remedy}"
        ) from error


@lru_cache(maxsize=16)
def _foreign(group: str, search_path: tuple[str, ...]) -> tuple[Row, ...]:
    # Read once for a search path: it goes through every distribution there.
    if not group:
        return ()
    points = sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
    return tuple(
        Row(point.name, point.value, distribution=point.dist.name if point.dist is not None else "")
        for point in points
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most likely means, None when none is near."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def _built_in(kind: Kind) -> tuple[Row, ...]:
    try:
        module = importlib.import_module(kind.module)
    except ModuleNotFoundError as error:
        # Only the catalogue itself may be absent; an import that fails inside it is a mistake to be seen.
        if error.name is None or not (kind.module + ".").startswith(error.name + "."):
            raise
        return ()
    found: tuple[Row, ...] = module.ROWS
    return found
