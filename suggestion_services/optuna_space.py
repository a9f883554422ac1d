"""The typed space in Optuna's terms: which distribution stands for a dimension, and how values convert."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from katibpy.algo.law import below_one
from katibpy.algo.space import (
    CategoricalDimension,
    Dimension,
    DoubleDimension,
    IntDimension,
    Space,
    Value,
)
from katibpy.api.experiment import Distribution

_EXACT_IN_A_DOUBLE = 1 << 53


class Axis(ABC):
    """One dimension as Optuna sees it.

    Attributes:
        distribution: what Optuna samples from and models.
    """

    distribution: BaseDistribution

    @abstractmethod
    def to_optuna(self, value: Value) -> Any:
        """The parameter of a trial; a ValueError when the dimension has no such value."""

    @abstractmethod
    def from_optuna(self, parameter: Any) -> Value:
        """The dimension's value."""


class _AsIs(Axis):
    """Values are Optuna's own: plain and logarithmic ranges, and choices."""

    def __init__(self, dimension: Dimension, distribution: BaseDistribution) -> None:
        self.distribution = distribution
        self._dimension = dimension

    def to_optuna(self, value: Value) -> Any:
        return value

    def from_optuna(self, parameter: Any) -> Value:
        value: Value = parameter
        return value


class _Numbered(Axis):
    """Values by their numbers, equally spaced: uniform grids, and lists of numbers."""

    def __init__(self, dimension: Dimension, count: int) -> None:
        self.distribution = IntDistribution(0, count - 1)
        self._dimension = dimension

    def to_optuna(self, value: Value) -> Any:
        return self._dimension.index_of(value)

    def from_optuna(self, parameter: Any) -> Value:
        return self._dimension.at(int(parameter))


class _Unit(Axis):
    """Values by their unit coordinate, over which the dimension's distribution is flat."""

    def __init__(self, dimension: Dimension) -> None:
        self.distribution = FloatDistribution(0.0, 1.0)
        self._dimension = dimension

    def to_optuna(self, value: Value) -> Any:
        return self._dimension.to_unit(value)

    def from_optuna(self, parameter: Any) -> Value:
        return self._dimension.from_unit(below_one(parameter))


def axis_of(dimension: Dimension) -> Axis:
    """The dimension in Optuna's terms.

    Optuna models a parameter with the prior of its distribution, so the prior is the user's: what it
    has itself (uniform and log-uniform ranges, choices) is handed over, uniform grids and lists of numbers
    become numbers from 0, and what is left (normal, log-normal, a logarithmic grid) the unit coordinate.
    """
    if isinstance(dimension, CategoricalDimension):
        return _AsIs(dimension, CategoricalDistribution(dimension.choices))
    count = dimension.cardinality
    if count is not None and dimension.is_uniform:
        return _Numbered(dimension, count) if count <= _EXACT_IN_A_DOUBLE else _Unit(dimension)
    if isinstance(dimension, DoubleDimension) and count is None:
        if dimension.distribution is Distribution.UNIFORM:
            return _AsIs(dimension, FloatDistribution(dimension.low, dimension.high))
        if dimension.distribution is Distribution.LOG_UNIFORM:
            return _AsIs(dimension, FloatDistribution(dimension.low, dimension.high, log=True))
    if (
        isinstance(dimension, IntDimension)
        and dimension.distribution is Distribution.LOG_UNIFORM
        and dimension.step == 1
        and dimension.low >= 1
        and dimension.high <= _EXACT_IN_A_DOUBLE
    ):
        return _AsIs(dimension, IntDistribution(dimension.low, dimension.high, log=True))
    return _Unit(dimension)


@dataclass(frozen=True, slots=True)
class OptunaSpace:
    """All axes of a space.

    Attributes:
        axes: by name, in the order of the space.
        distributions: the same, as `Study.ask` takes them.
        constants: parameters that have one value only, which samplers leave out.
    """

    axes: Mapping[str, Axis]
    distributions: dict[str, BaseDistribution]
    constants: Mapping[str, Any]

    @classmethod
    def of(cls, space: Space) -> OptunaSpace:
        """The space in Optuna's terms."""
        axes = {dimension.name: axis_of(dimension) for dimension in space}
        distributions = {name: axis.distribution for name, axis in axes.items()}
        constants = {
            name: axis.to_optuna(space[name].from_unit(0.0))
            for name, axis in axes.items()
            if axis.distribution.single()
        }
        return cls(axes, distributions, constants)

    def to_optuna(self, assignment: Mapping[str, Value]) -> dict[str, Any] | None:
        """Parameters of a trial; None when the assignment is incomplete or has a value of another space."""
        try:
            return {name: axis.to_optuna(assignment[name]) for name, axis in self.axes.items()}
        except (KeyError, ValueError):
            return None

    def from_optuna(self, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """The assignment that a trial's parameters stand for."""
        return {name: axis.from_optuna(parameters[name]) for name, axis in self.axes.items()}
