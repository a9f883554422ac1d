"""What a search dimension is, and the two numeric ranges: double and int.

Every dimension maps between three forms of a value: the text that a Trial gets, the typed value that an
algorithm computes with, and a unit coordinate in [0, 1) over which a uniform draw gives the dimension's
distribution. Finite dimensions also number their values from 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from katibpy.algo.grid import Grid, cell_under, equal_cell, equal_middle, exact, masses_under, middle_under
from katibpy.algo.law import Law, below_one
from katibpy.api.experiment import Distribution

Value = int | float | str
"""A typed value: int for int, float for double, int or float for discrete, text for categorical."""


class Dimension(ABC):
    """One named axis of the space.

    Attributes:
        name: the parameter's name.
    """

    __slots__ = ()

    name: str

    @property
    @abstractmethod
    def cardinality(self) -> int | None:
        """Number of values, None when there are endlessly many."""

    @property
    @abstractmethod
    def is_uniform(self) -> bool:
        """Whether all values are equally likely."""

    @abstractmethod
    def parse(self, text: str) -> Value | None:
        """The value that `text` stands for, None when the dimension has no such value."""

    @abstractmethod
    def format(self, value: Value) -> str:
        """The text that a Trial gets; `parse` turns it back into `value`."""

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """The value at a unit coordinate in [0, 1); never falls as `unit` rises, except for categorical."""

    @abstractmethod
    def to_unit(self, value: Value) -> float:
        """A unit coordinate in [0, 1) that `from_unit` maps to `value`: the middle of its part."""

    def at(self, index: int) -> Value:
        """Value number `index` of a finite dimension, ascending for numbers.

        Raises:
            IndexError: there is no such number, or the dimension is not finite.
        """
        raise IndexError(f"{self.name} has no numbered values")

    def index_of(self, value: Value) -> int:
        """Number of `value` in a finite dimension.

        Raises:
            ValueError: the dimension is not finite or has no such value.
        """
        raise ValueError(f"{self.name} has no value number for {value!r}")

    def masses(self) -> npt.NDArray[np.float64]:
        """Probability of every value of a finite dimension, in the order of their numbers."""
        count = self.cardinality
        if count is None:
            raise ValueError(f"{self.name} has endlessly many values")
        return np.full(count, 1.0 / count)


@dataclass(frozen=True, slots=True)
class DoubleDimension(Dimension):
    """A real number between two bounds, on a grid when there is a step.

    Attributes:
        low: smallest value.
        high: largest value that is allowed; a grid may end below it.
        distribution: how values are drawn.
        grid: exact values min + k * step, None without a step.
    """

    name: str
    low: float
    high: float
    distribution: Distribution = Distribution.UNIFORM
    grid: Grid | None = None
    law: Law = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepares what every conversion needs."""
        object.__setattr__(self, "law", Law(self.low, self.high, self.distribution))

    @property
    def cardinality(self) -> int | None:
        """Number of grid values, None without a step."""
        return None if self.grid is None else self.grid.count

    @property
    def is_uniform(self) -> bool:
        """Whether the distribution is uniform."""
        return self.distribution is Distribution.UNIFORM

    def parse(self, text: str) -> float | None:
        """The number, None outside the bounds or off the grid."""
        if self.grid is not None:
            number = exact(text)
            index = None if number is None else self.grid.nearest(number)
            return None if index is None else self.at(index)
        try:
            value = float(text)
        except ValueError:
            return None
        return value if self.low <= value <= self.high else None

    def format(self, value: Value) -> str:
        """The shortest text that reads back as the same double."""
        return repr(float(value))

    def from_unit(self, unit: float) -> float:
        """Inverse of the cumulative distribution, or the grid value whose part holds `unit`."""
        if self.grid is None:
            return float(self.law.truncated_quantile(below_one(unit), self.low, self.high))
        if self.is_uniform:
            return self.at(equal_cell(unit, self.grid.count))
        return self.at(cell_under(self.law, self.grid, below_one(unit)))

    def to_unit(self, value: Value) -> float:
        """Cumulative distribution at `value`, or the middle of the grid value's part."""
        if self.grid is None:
            return below_one(self.law.truncated_cumulative(float(value), self.low, self.high))
        index = self.index_of(value)
        return (
            equal_middle(index, self.grid.count)
            if self.is_uniform
            else middle_under(self.law, self.grid, index)
        )

    def at(self, index: int) -> float:
        """Grid value number `index`, correctly rounded: no error adds up along the grid."""
        if self.grid is None:
            raise IndexError(f"{self.name} has no step, so its values have no numbers")
        return self.grid.numerator(index) / self.grid.denominator

    def index_of(self, value: Value) -> int:
        """Number of a grid value."""
        index = None if self.grid is None else self.grid.nearest(Fraction(value))
        if index is None:
            raise ValueError(f"{self.name} has no grid value {value!r}")
        return index

    def masses(self) -> npt.NDArray[np.float64]:
        """Probability of every grid value."""
        if self.grid is None or self.is_uniform:
            return Dimension.masses(self)
        return masses_under(self.law, self.grid)


@dataclass(frozen=True, slots=True)
class IntDimension(Dimension):
    """A whole number between two bounds.

    Attributes:
        low: smallest value.
        high: largest value that is allowed; with a step the last value may be below it.
        step: distance between neighbours, at least 1.
        distribution: how values are drawn.
    """

    name: str
    low: int
    high: int
    step: int = 1
    distribution: Distribution = Distribution.UNIFORM
    grid: Grid = field(init=False, repr=False, compare=False)
    law: Law = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepares what every conversion needs."""
        count = (self.high - self.low) // self.step + 1
        object.__setattr__(self, "grid", Grid(self.low, self.step, 1, count))
        object.__setattr__(self, "law", Law(float(self.low), float(self.high), self.distribution))

    @property
    def cardinality(self) -> int:
        """Number of values."""
        return self.grid.count

    @property
    def is_uniform(self) -> bool:
        """Whether the distribution is uniform."""
        return self.distribution is Distribution.UNIFORM

    def parse(self, text: str) -> int | None:
        """The whole number, None outside the bounds or between two steps; `10.0` is 10."""
        # Plain digits are what a Trial's assignment has; exact numbers cover the rest, at ten times the cost.
        number = int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else exact(text)
        if number is None or number.denominator != 1:
            return None
        place = int(number) - self.low
        return int(number) if 0 <= place <= self.high - self.low and place % self.step == 0 else None

    def format(self, value: Value) -> str:
        """Decimal digits."""
        return str(int(value))

    def from_unit(self, unit: float) -> int:
        """The value whose part of the unit interval holds `unit`."""
        if self.is_uniform:
            return self.at(equal_cell(unit, self.grid.count))
        return self.at(cell_under(self.law, self.grid, below_one(unit)))

    def to_unit(self, value: Value) -> float:
        """Middle of the value's part of the unit interval."""
        index = self.index_of(value)
        return (
            equal_middle(index, self.grid.count)
            if self.is_uniform
            else middle_under(self.law, self.grid, index)
        )

    def at(self, index: int) -> int:
        """Value number `index`, ascending."""
        return self.grid.numerator(index)

    def index_of(self, value: Value) -> int:
        """Number of `value`."""
        place = int(value) - self.low
        if place % self.step or not 0 <= place <= self.high - self.low:
            raise ValueError(f"{self.name} has no value {value!r}")
        return place // self.step

    def masses(self) -> npt.NDArray[np.float64]:
        """Probability of every value."""
        return Dimension.masses(self) if self.is_uniform else masses_under(self.law, self.grid)
