"""Equally spaced numbers without rounding errors, and how a distribution falls on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from katibpy.algo.law import Law, below_one

_SNAP_PARTS = 1_000_000
"""A number within one such part of a step from a grid value means that value: others add in binary."""
_UNIT_BITS = 53
_REASONABLE_EXPONENT = 400


def exact(text: str) -> Fraction | None:
    """The exact number that `text` says, or None when it says no finite number."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if number and abs(number.adjusted()) > _REASONABLE_EXPONENT:
        # 1e-999999999 as a fraction would fill the memory; as a double it is 0 or infinite.
        rounded = float(number)
        return Fraction(rounded) if math.isfinite(rounded) else None
    return Fraction(number)


def equal_cell(unit: float, count: int) -> int:
    """Which of `count` equal parts of [0, 1) holds `unit`; exact for any count that a double resolves."""
    return (int(below_one(unit) * (1 << _UNIT_BITS)) * count) >> _UNIT_BITS


def equal_middle(index: int, count: int) -> float:
    """Middle of part `index` of `count` equal parts of [0, 1)."""
    return below_one((2 * index + 1) / (2 * count))


@dataclass(frozen=True, slots=True)
class Grid:
    """The numbers start, start + step, ... as exact fractions with one denominator.

    Attributes:
        start: numerator of the lowest value.
        step: numerator of the distance, positive.
        denominator: of both.
        count: how many values, at least 1.
    """

    start: int
    step: int
    denominator: int
    count: int

    @classmethod
    def between(cls, low: Fraction, high: Fraction, step: Fraction) -> Grid:
        """All low + k * step that do not exceed `high`."""
        denominator = math.lcm(low.denominator, step.denominator)
        return cls(
            start=int(low * denominator),
            step=int(step * denominator),
            denominator=denominator,
            count=(high - low) // step + 1,
        )

    def numerator(self, index: int) -> int:
        """Value number `index` times the denominator."""
        if not 0 <= index < self.count:
            raise IndexError(f"the grid has {self.count} values, got index {index}")
        return self.start + index * self.step

    def nearest(self, value: Fraction) -> int | None:
        """Number of the value that `value` means, None when it lies between two or outside."""
        # Whole numbers all the way: this runs for every stepped parameter of every trial.
        above = value.numerator * self.denominator - self.start * value.denominator
        step = self.step * value.denominator
        index = (2 * above + step) // (2 * step)
        if not 0 <= index < self.count or abs(above - index * step) * _SNAP_PARTS > step:
            return None
        return index

    def edge(self, index: int, law: Law) -> float:
        """Lower edge of the part of the line that rounds to value number `index`.

        The outermost edges lie half a step beyond the ends, so that a flat law makes all values equally
        likely; on a logarithmic scale the lowest is never below half the lowest value.
        """
        place = (2 * self.start + (2 * index - 1) * self.step) / (2 * self.denominator)
        if index == 0 and law.is_logarithmic:
            return max(place, self.start / self.denominator / 2)
        return place


def cell_under(law: Law, grid: Grid, unit: float) -> int:
    """Which grid value a unit coordinate falls to when `law` gives each cell its mass."""
    if grid.count == 1:
        return 0
    lowest = grid.edge(0, law)
    place = law.truncated_quantile(unit, lowest, grid.edge(grid.count, law))
    guess = math.floor((place - grid.start / grid.denominator) / (grid.step / grid.denominator) + 0.5)
    return min(max(guess, 0), grid.count - 1)


def middle_under(law: Law, grid: Grid, index: int) -> float:
    """Middle of the unit coordinates that fall to grid value `index`."""
    first, last = grid.edge(0, law), grid.edge(grid.count, law)
    below = law.truncated_cumulative(grid.edge(index, law), first, last)
    above = law.truncated_cumulative(grid.edge(index + 1, law), first, last)
    return below_one((below + above) / 2)


def masses_under(law: Law, grid: Grid) -> npt.NDArray[np.float64]:
    """Mass of each grid value."""
    first, last = grid.edge(0, law), grid.edge(grid.count, law)
    bounds = [law.truncated_cumulative(grid.edge(index, law), first, last) for index in range(grid.count + 1)]
    return np.diff(np.asarray(bounds))
