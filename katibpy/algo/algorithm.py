"""The interface of search algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    # NumPy takes long to load, and who only calls a service needs no more than the form of its replies.
    import numpy as np

    from katibpy.algo.history import History
    from katibpy.algo.problem import Problem
    from katibpy.api.experiment import ParameterSpec


class Reads(StrEnum):
    """Which part of the history an algorithm needs."""

    NOTHING = "nothing"
    FINISHED = "finished"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One assignment to try.

    Attributes:
        assignment: parameter name to the text that the Trial gets; every parameter of the space.
        trial_name: name of the Trial, when the algorithm has to choose it; else None.
        labels: labels for the Trial; they come back in the history.
    """

    assignment: Mapping[str, str]
    trial_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer of an algorithm.

    Attributes:
        proposals: at most as many as were asked for; fewer only when exhausted, or when the
            algorithm has to wait for pending results.
        memory: what the algorithm wants to be handed back at the next call; None keeps the old one.
        exhausted: there will never be more proposals than these.
        settings: algorithm settings to show and to send from now on; empty for most.
        note: what was chosen and why, in words, for people.
    """

    proposals: tuple[Proposal, ...] = ()
    memory: bytes | None = None
    exhausted: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


class Cancellation(Protocol):
    """Tells a long computation that nobody waits for its result any more."""

    def is_cancelled(self) -> bool:
        """Whether the caller has gone or the deadline has passed."""
        ...


class Algorithm(ABC):
    """One search algorithm. Holds no state between calls that matters: see `suggest`.

    A class is described by its `Settings`, a frozen dataclass whose fields (with defaults, bounds in
    `katibpy.algo.settings` metadata and docstrings) are the settings a user may write.
    Instances may be used by several threads at once, for different Experiments.
    """

    name: ClassVar[str]
    """Name in `spec.algorithm.algorithmName`."""
    summary: ClassVar[str]
    """One line: what it is good for."""
    Settings: ClassVar[type[Any]]
    """A frozen dataclass of `katibpy.algo.settings.setting` fields."""
    learns: ClassVar[bool] = False
    """Whether losses steer it; then it is held to be better than random search, else not to heed them."""
    repeats: ClassVar[bool] = False
    """Whether it may propose an assignment again on purpose, to run it longer or once more."""
    example_settings: ClassVar[Mapping[str, str]] = {}
    """Settings to try it with, for suites and documents: those without a default, and quick ones."""
    example_parameters: ClassVar[tuple[ParameterSpec, ...]] = ()
    """Parameters that the example settings speak of, to be added to a space that has not got them."""

    def reads(self, problem: Problem) -> Reads:
        """Which part of the history `suggest` needs for this problem."""
        return Reads.ALL

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """What is wrong with the settings or the space, beyond what the settings' types say.

        Returns:
            One sentence for each problem, naming the setting or parameter, the rule and the value.
        """
        return ()

    @abstractmethod
    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Proposes up to `count` assignments.

        The same arguments give the same reply in any process. A cache keyed by `problem.uid` is
        allowed if dropping it between any two calls changes nothing but time.

        Args:
            problem: what to solve; its settings have been validated.
            history: what happened so far, as declared by `reads`.
            count: how many proposals are wanted, at least 1.
            memory: what the last saved reply gave, None at first.
            rng: `generator(problem.seed, history.total)`, with nothing drawn yet.
        """
