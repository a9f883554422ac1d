"""Parameters with steps under CMA-ES: the part of the unit interval of each value, and the margin.

Once a normal distribution lies within the part of one value, all its draws round to that value and the
search no longer moves along that parameter. The margin keeps a small chance of the neighbouring values.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from katibpy.algo.law import below_one
from katibpy.algo.space import Dimension

_STANDARD = NormalDist()
_MOST_UNEVEN_PARTS = 1 << 14
_NEXT_TO_NEVER = 1e-10


class Cells:
    """The parts of the unit interval that stand for the values of one parameter with steps.

    Attributes:
        count: how many, at least 2.
    """

    def __init__(self, count: int, edges: npt.NDArray[np.float64] | None = None) -> None:
        self.count = count
        self._edges = edges

    def around(self, unit: float) -> tuple[float | None, float | None]:
        """Edges of the part that holds `unit`; None for an edge with no value beyond it."""
        place = self._place(unit)
        return (
            self._edge(place) if place > 0 else None,
            self._edge(place + 1) if place < self.count - 1 else None,
        )

    def _place(self, unit: float) -> int:
        inside = below_one(unit)
        if self._edges is None:
            return int(inside * self.count)
        found = int(np.searchsorted(self._edges, inside, side="right")) - 1
        return min(max(found, 0), self.count - 1)

    def _edge(self, place: int) -> float:
        return place / self.count if self._edges is None else float(self._edges[place])


def cells_of(dimension: Dimension) -> Cells | None:
    """The parts of a dimension's values; None where it is as good as continuous."""
    count = dimension.cardinality
    if count is None or count < 2:
        return None
    if dimension.is_uniform:
        return Cells(count)
    if count > _MOST_UNEVEN_PARTS:
        return None
    return Cells(count, np.concatenate(([0.0], np.cumsum(dimension.masses()))))


def with_margin(cells: Cells, mean: float, deviation: float, *, margin: float) -> tuple[float, float]:
    """Mean and standard deviation, changed as little as leaves the neighbours their chance.

    The correction of CMA-ES with Margin (Hamano et al., 2022, section 4), for parts of any width: a mean
    in an outermost part is moved until the rest of the range has the probability `margin`; else both
    neighbours get at least half of it, and mean and deviation follow from the two probabilities.

    Args:
        cells: the parts.
        mean: of the normal distribution, in unit coordinates.
        deviation: its standard deviation, above 0.
        margin: a probability well below one half.
    """
    lower, upper = cells.around(mean)
    if lower is None or upper is None:
        edge = upper if lower is None else lower
        if edge is None:
            return mean, deviation
        farthest = -deviation * _STANDARD.inv_cdf(margin)
        return min(max(mean, edge - farthest), edge + farthest), deviation
    below = _STANDARD.cdf((lower - mean) / deviation)
    above = _STANDARD.cdf((mean - upper) / deviation)
    if min(below, above) >= margin / 2:
        return mean, deviation
    within = 1.0 - below - above
    below, above = max(below, margin / 2), max(above, margin / 2)
    excess = 1.0 - below - within - above
    spare = below + within + above - 1.5 * margin
    below += excess * (below - margin / 2) / spare
    above += excess * (above - margin / 2) / spare
    down = -_STANDARD.inv_cdf(min(max(below, _NEXT_TO_NEVER), 0.5 - _NEXT_TO_NEVER))
    up = -_STANDARD.inv_cdf(min(max(above, _NEXT_TO_NEVER), 0.5 - _NEXT_TO_NEVER))
    return (lower * up + upper * down) / (down + up), (upper - lower) / (down + up)


def margin_of(dimensions: int, population: int) -> float:
    """The probability that the paper recommends: one draw in a generation, shared by the dimensions."""
    return min(1.0 / (dimensions * population), math.nextafter(0.25, 0.0))
