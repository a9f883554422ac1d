"""Says why something cannot be sent to another process, by the name of the variable that keeps it here."""

from __future__ import annotations

import cloudpickle

from katibpy.client.reach import used_by
from katibpy.errors import InputError

_DEPTH = 5


def described(objective: object) -> str:
    """How messages name an objective."""
    return str(getattr(objective, "__qualname__", None) or type(objective).__qualname__)


def check_fit(name: str, value: object) -> None:
    """Refuses a parameter that cannot be sent.

    Raises:
        InputError: it cannot.
    """
    problem = _problem(value)
    if problem is not None:
        raise InputError(
            f"parameter {name!r} must be something that can be sent to another process, got "
            f"{_kind_of(value)}: {problem}"
        ) from problem


def why_unfit(objective: object, err: Exception) -> str:
    """Why an objective cannot be sent, and what to do.

    Args:
        objective: the function.
        err: what pickling it said.
    """
    trail = _trail(objective, _DEPTH)
    if not trail:
        return f"the objective {described(objective)} cannot be sent to another process: {err}"
    return (
        f"the objective {described(objective)} must use only what can be sent to another process, got "
        f"{trail} ({err}): make it inside the function instead"
    )


def _trail(value: object, depth: int) -> str:
    """The innermost variable that cannot be sent, and the functions on the way to it."""
    if not depth:
        return ""
    for used in used_by(value):
        if _problem(used.value) is None:
            continue
        inner = _trail(used.value, depth - 1)
        return (
            f"{inner}, used by {used.name!r}"
            if inner
            else (f"the {used.place} {used.name!r}, {_kind_of(used.value)}")
        )
    return ""


def _kind_of(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"an object of type {name}"


def _problem(value: object) -> Exception | None:
    try:
        cloudpickle.dumps(value)
    except Exception as err:  # noqa: BLE001 - a class may raise anything when it is pickled
        return err
    return None
