"""Lets something happen at a port call of one's choice: a power cut, an outage, somebody else's write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

P = TypeVar("P")


class SimulatedCrash(BaseException):
    """The process is killed. No handler of the controller may survive it, hence not an `Exception`."""


Event: TypeAlias = Callable[[str], BaseException | None]
"""What happens at a call, given its name as `port.method`: it returns what is raised, if anything is."""


@dataclass(slots=True)
class Faults:
    """Counts the calls of all ports together; at one of them an event takes place.

    Attributes:
        calls: how many calls were begun.
        at: number of the call at which the event takes place, counted from 1; None for none.
        is_after: whether the call takes its effect first, so that an error loses only its answer.
        event: what happens.
        where: the call at which the last event took place, as `port.method`.
    """

    calls: int = 0
    at: int | None = None
    is_after: bool = False
    event: Event = SimulatedCrash
    where: str = ""

    def in_calls(self, count: int, *, is_after: bool = False, event: Event = SimulatedCrash) -> None:
        """Lets the event take place at the `count`th call from now."""
        self.at, self.is_after, self.event = self.calls + count, is_after, event

    def none(self) -> None:
        """Lets nothing happen."""
        self.at = None

    @property
    def is_to_come(self) -> bool:
        """Whether the call of the event has not been made yet."""
        return self.at is not None and self.calls < self.at

    def through(self, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Makes a call, with the event before or after it when it is the one."""
        self.calls += 1
        is_chosen = self.calls == self.at
        if is_chosen and not self.is_after:
            self._take_place(name)
        result = call(*args, **kwargs)
        if is_chosen and self.is_after:
            self._take_place(name)
        return result

    def _take_place(self, name: str) -> None:
        self.where = name
        error = self.event(name)
        if error is not None:
            raise error


class _WatchedPort:
    """Stands for a port; every method call goes through the faults."""

    def __init__(self, name: str, target: object, faults: Faults) -> None:
        self._name = name
        self._target = target
        self._faults = faults

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._target, attribute)
        if not callable(found):
            return found
        name, faults = f"{self._name}.{attribute}", self._faults

        def call(*args: Any, **kwargs: Any) -> Any:
            return faults.through(name, found, *args, **kwargs)

        return call


def breakable(name: str, target: P, faults: Faults) -> P:
    """The port, with every method call counted and interrupted as the faults say."""
    return cast("P", _WatchedPort(name, target, faults))
