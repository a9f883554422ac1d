"""How `status.conditions` is kept: ordered by recency, one entry per type, the last is the current one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from katibpy.api.model import Condition

_WITH_TIMES = Condition(
    type="", status="", reason="", message="", last_update_time=None, last_transition_time=None
)


def find_condition(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """The condition of that type, whatever its status."""
    # A plain loop: this runs dozens of times for every trial, and takes half as long as a generator.
    for condition in conditions:
        if condition.type == condition_type:
            return condition
    return None


def has_condition(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Whether a condition of that type is there and its status is `True`."""
    found = find_condition(conditions, condition_type)
    return found is not None and found.status == "True"


def current(conditions: tuple[Condition, ...]) -> Condition | None:
    """The most recent condition, the one that clients show as the state of the object."""
    return conditions[-1] if conditions else None


def without_conditions(conditions: tuple[Condition, ...], *condition_types: str) -> tuple[Condition, ...]:
    """The conditions of all other types, in their order."""
    return tuple([condition for condition in conditions if condition.type not in condition_types])


def set_condition(
    conditions: tuple[Condition, ...], condition: Condition, now: datetime
) -> tuple[Condition, ...]:
    """Put a condition into the list; both its times are set here.

    When status and reason stay, the list keeps its order: an equal message returns the very same
    tuple, a new one is written in place. Otherwise the condition moves to the end.
    `lastTransitionTime` changes only with the status.
    """
    known = find_condition(conditions, condition.type)
    if known is None:
        return (*conditions, _stamped(condition, updated=now, changed=now))
    if (known.status, known.reason) == (condition.status, condition.reason):
        if known.message == condition.message:
            return conditions
        reworded = known.but(message=condition.message, last_update_time=now)
        return tuple([reworded if entry is known else entry for entry in conditions])
    changed = known.last_transition_time if known.status == condition.status else now
    moved = _stamped(condition, updated=now, changed=changed)
    return (*without_conditions(conditions, condition.type), moved)


def _stamped(condition: Condition, *, updated: datetime, changed: datetime | None) -> Condition:
    # Of a condition that has every field: it is copied sooner, and copies share more.
    return _WITH_TIMES.but(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        last_update_time=updated,
        last_transition_time=changed,
    )
