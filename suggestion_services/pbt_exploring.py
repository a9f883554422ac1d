"""How population based training changes the hyperparameters that a member took over from another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from katibpy.algo.space import Dimension, DoubleDimension, IntDimension, Space, Value

_SHARE = 0.2
"""Values move by so much of themselves: times 0.8 or 1.2 (Jaderberg et al., 2017, section 4.1)."""
_LEAST_REACH = 0.1
"""Where a range reaches zero or below, a value moves as one of at least this share of the range would."""


def explored(
    space: Space,
    assignment: Mapping[str, Value],
    rng: np.random.Generator,
    *,
    resample_probability: float | None = None,
) -> dict[str, Value]:
    """A complete assignment with every value perturbed, or drawn anew with some probability.

    Args:
        space: the dimensions.
        assignment: complete.
        rng: decides.
        resample_probability: of drawing a value from its distribution instead; None never does.
    """
    changed: dict[str, Value] = {}
    for dimension in space:
        if resample_probability is not None and rng.random() < resample_probability:
            changed[dimension.name] = dimension.from_unit(float(rng.random()))
        else:
            is_up = bool(rng.random() < 0.5)
            changed[dimension.name] = perturbed(dimension, assignment[dimension.name], is_up=is_up)
    return changed


def perturbed(dimension: Dimension, value: Value, *, is_up: bool) -> Value:
    """The value moved up or down, inside the space.

    Numbers are multiplied by 1.2 or 0.8 and rounded to their step, by which they move at least; what would
    leave the bounds stops there. Of a list, the neighbour is taken; the ends stay when there is none.
    """
    sign = 1 if is_up else -1
    if dimension.cardinality is not None:
        steps = max(1, round(_distance(dimension, value)))
        place = dimension.index_of(value) + sign * steps
        return dimension.at(min(max(place, 0), dimension.cardinality - 1))
    if not isinstance(dimension, DoubleDimension):
        return value
    moved = float(value) + sign * _SHARE * _reach(dimension, float(value))
    return min(max(moved, dimension.low), dimension.high)


def _distance(dimension: Dimension, value: Value) -> float:
    """How far a value of a finite dimension moves, in steps."""
    if isinstance(dimension, IntDimension):
        return _SHARE * _reach(dimension, float(value)) / dimension.step
    if isinstance(dimension, DoubleDimension) and dimension.grid is not None:
        distance = _SHARE * _reach(dimension, float(value))
        return distance * dimension.grid.denominator / dimension.grid.step
    return 1.0


def _reach(dimension: IntDimension | DoubleDimension, value: float) -> float:
    if dimension.low > 0:
        return value
    return max(abs(value), _LEAST_REACH * dimension.high - _LEAST_REACH * dimension.low)
