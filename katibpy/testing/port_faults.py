"""Breaks a controller at a port call of one's choice, as a power cut or an outage would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

P = TypeVar("P")


class SimulatedCrash(BaseException):
    """The process is killed. No handler of the controller may survive it, hence not an `Exception`."""


@dataclass(slots=True)
class Faults:
    """Counts the calls of all ports together and breaks one of them.

    Attributes:
        calls: how many calls were begun.
        at: number of the call to break, counted from 1; None breaks none.
        is_after: whether the call takes its effect before it breaks, so that only its answer is lost.
        error: makes what is raised of the call's name, `port.method`.
        broken: the call broken last, as `port.method`.
    """

    calls: int = 0
    at: int | None = None
    is_after: bool = False
    error: Callable[[str], BaseException] = SimulatedCrash
    broken: str = ""

    def in_calls(
        self, count: int, *, is_after: bool = False, error: Callable[[str], BaseException] = SimulatedCrash
    ) -> None:
        """Breaks the `count`th call from now."""
        self.at, self.is_after, self.error = self.calls + count, is_after, error

    @property
    def is_to_come(self) -> bool:
        """Whether the call to break has not been made yet."""
        return self.at is not None and self.calls < self.at

    def none(self) -> None:
        """Breaks nothing."""
        self.at = None

    def through(self, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Makes a call, or breaks it."""
        self.calls += 1
        is_broken = self.calls == self.at
        if is_broken:
            self.broken = name
        if is_broken and not self.is_after:
            raise self.error(name)
        result = call(*args, **kwargs)
        if is_broken:
            raise self.error(name)
        return result


class _BreakablePort:
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
    """The port, with every method call counted and broken as the faults say."""
    return cast("P", _BreakablePort(name, target, faults))
