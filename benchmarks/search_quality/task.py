"""What a search task is, and how much of random search's regret a run leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from katibpy.algo.space import Space, Value, space_of
from katibpy.api.experiment import FeasibleSpace, ParameterSpec, ParameterType

Assignment = Mapping[str, Value]
Truth = Callable[[Assignment], float]

_POOL = 4096
_RESAMPLES = 2000


@dataclass(frozen=True)
class Task:
    """One function over one space, to be minimised.

    Attributes:
        name: unique.
        kind: continuous, log-scaled, mixed, categorical, noisy or table; for the report.
        parameters: the space.
        truth: the loss that counts, without noise.
        best: the lowest value of `truth`.
        observed: what a trial shows, when that differs from the truth.
    """

    name: str
    kind: str
    parameters: tuple[ParameterSpec, ...]
    truth: Truth
    best: float
    observed: Callable[[Assignment, np.random.Generator], float] | None = None
    space: Space = field(init=False)

    def __post_init__(self) -> None:
        """Prepares the typed space."""
        object.__setattr__(self, "space", space_of(self.parameters))

    def observe(self, assignment: Assignment, rng: np.random.Generator) -> float:
        """What a trial shows."""
        return self.truth(assignment) if self.observed is None else self.observed(assignment, rng)


@lru_cache(maxsize=256)
def _pool(name: str, task: Task) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed_of(name))
    points = rng.random((_POOL, len(task.space)))
    drawn = [task.space.from_unit_cube(point.tolist()) for point in points]
    return np.array([(task.truth(each), task.observe(each, rng)) for each in drawn])


@lru_cache(maxsize=1024)
def random_regret(task: Task, budget: int) -> float:
    """Expected simple regret of so many random draws: the unit in which regrets are told."""
    pool = _pool(task.name, task)
    rng = np.random.default_rng(budget)
    draws = pool[rng.integers(len(pool), size=(_RESAMPLES, budget))]
    chosen = np.argmin(draws[:, :, 1], axis=1)
    return float(np.mean(draws[np.arange(_RESAMPLES), chosen, 0]) - task.best)


def regret(task: Task, truths: Sequence[float], shown: Sequence[float], budget: int) -> float:
    """Simple regret after `budget` trials: of the trial that showed the least loss, its true loss.

    In units of random search's expectation with the same budget.
    """
    place = int(np.argmin(shown[:budget]))
    return (truths[place] - task.best) / random_regret(task, budget)


def seed_of(text: str) -> int:
    """A seed that any process derives alike."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


def double(name: str, low: float, high: float, *, log: bool = False) -> ParameterSpec:
    """A real number."""
    law = "logUniform" if log else "uniform"
    return _parameter(name, ParameterType.DOUBLE, min=repr(low), max=repr(high), distribution=law)


def integer(name: str, low: int, high: int, *, log: bool = False) -> ParameterSpec:
    """A whole number."""
    law = "logUniform" if log else "uniform"
    return _parameter(name, ParameterType.INT, min=str(low), max=str(high), distribution=law)


def listed(name: str, numbers: Sequence[float]) -> ParameterSpec:
    """One of some numbers."""
    return _parameter(name, ParameterType.DISCRETE, list=tuple(map(repr, numbers)))


def choice(name: str, *texts: str) -> ParameterSpec:
    """One of some texts."""
    return _parameter(name, ParameterType.CATEGORICAL, list=texts)


def _parameter(name: str, kind: ParameterType, **feasible: object) -> ParameterSpec:
    return ParameterSpec(
        name=name, parameter_type=kind.value, feasible_space=FeasibleSpace.model_validate(feasible)
    )
