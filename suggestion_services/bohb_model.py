"""The model of BOHB: kernel densities of good and of other configurations (Falkner et al., 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from katibpy.algo.law import below_one
from katibpy.algo.space import CategoricalDimension, Space, Value

Points = npt.NDArray[np.float64]
_LARGEST_LOG = 700.0
_RULE_OF_THUMB = 1.06


@dataclass(frozen=True, slots=True)
class ModelSpace:
    """The parameters that a model spans, in the form in which it sees them.

    Numbers are unit coordinates, over which the user's distribution is flat; choices are their places.
    Parameters with a single value are left out.

    Attributes:
        space: all parameters of a configuration.
        names: those that are modelled.
        choices: how many choices each of them has, 0 for numbers.
    """

    space: Space
    names: tuple[str, ...]
    choices: tuple[int, ...]

    @classmethod
    def of(cls, space: Space) -> ModelSpace:
        """What is modelled of a space."""
        modelled = [dimension for dimension in space if dimension.cardinality != 1]
        choices = tuple(
            len(each.choices) if isinstance(each, CategoricalDimension) else 0 for each in modelled
        )
        return cls(space, tuple(each.name for each in modelled), choices)

    def points(self, assignments: Sequence[Mapping[str, Value]]) -> Points:
        """One row for each assignment."""
        rows = [
            [
                self.space[name].index_of(each[name]) if count else self.space[name].to_unit(each[name])
                for name, count in zip(self.names, self.choices, strict=True)
            ]
            for each in assignments
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def assignment(self, point: Points) -> dict[str, Value]:
        """The assignment that a row stands for."""
        found = {dimension.name: dimension.from_unit(0.0) for dimension in self.space}
        for name, count, place in zip(self.names, self.choices, point.tolist(), strict=True):
            dimension = self.space[name]
            found[name] = dimension.at(int(place)) if count else dimension.from_unit(below_one(place))
        return found


class Density:
    """A product kernel density: normal kernels for numbers, Aitchison and Aitken's for choices.

    Bandwidths follow the normal reference rule, 1.06 sigma n**(-1 / (4 + d)). For choices sigma is the
    square root of the chance that two of the points differ, so that their order has no say.
    """

    def __init__(self, points: Points, choices: tuple[int, ...], *, min_bandwidth: float) -> None:
        """Fits the bandwidths.

        Args:
            points: one row for each observation, at least one.
            choices: see `ModelSpace`.
            min_bandwidth: no bandwidth is smaller.
        """
        self.points = points
        self._choices = choices
        number, dimensions = points.shape
        factor = _RULE_OF_THUMB * number ** (-1.0 / (4 + dimensions))
        self.bandwidths = np.array(
            [
                min(max(factor * _spread(column, count), min_bandwidth), _widest(count))
                for column, count in zip(points.T, choices, strict=True)
            ]
        )

    def log_at(self, points: Points) -> Points:
        """Logarithm of the density at each row; finite."""
        logs = np.zeros((len(points), len(self.points)))
        for place, count in enumerate(self._choices):
            width = self.bandwidths[place]
            difference = points[:, place, None] - self.points[None, :, place]
            if count:
                logs += np.where(difference == 0, math.log(1 - width), math.log(width / (count - 1)))
            else:
                logs -= (difference / width) ** 2 / 2 + math.log(width * math.sqrt(2 * math.pi))
        highest = logs.max(axis=1, keepdims=True)
        mean: Points = np.log(np.exp(logs - highest).mean(axis=1)) + highest[:, 0]
        return np.clip(mean, -_LARGEST_LOG, _LARGEST_LOG)

    def sample(self, count: int, factor: float, rng: np.random.Generator) -> Points:
        """Draws from around the points, with the bandwidths of numbers widened by `factor`."""
        # It takes long to import, which listing the algorithms need not pay.
        from scipy.special import ndtr, ndtri

        centres = self.points[rng.integers(len(self.points), size=count)]
        uniforms = rng.random((count, len(self._choices), 2))
        drawn = np.empty_like(centres)
        for place, choices in enumerate(self._choices):
            centre, width = centres[:, place], self.bandwidths[place]
            first, second = uniforms[:, place, 0], uniforms[:, place, 1]
            if choices:
                drawn[:, place] = np.where(first < 1 - width, centre, np.floor(second * choices))
            else:
                low, high = ndtr(-centre / (factor * width)), ndtr((1 - centre) / (factor * width))
                moved = centre + factor * width * ndtri(low + first * (high - low))
                drawn[:, place] = np.clip(moved, 0.0, 1.0)
        return drawn


def _spread(column: Points, choices: int) -> float:
    if not choices:
        return float(column.std())
    _, counts = np.unique(column, return_counts=True)
    return math.sqrt(max(1.0 - float(((counts / len(column)) ** 2).sum()), 0.0))


def _widest(choices: int) -> float:
    """With the widest kernel over choices all of them are equally likely."""
    return (choices - 1) / choices if choices else math.inf
