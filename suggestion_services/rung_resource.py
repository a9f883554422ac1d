"""The resource of a trial: the parameter that says how much it may spend, be it epochs, steps or data."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from katibpy.algo.problem import Problem
from katibpy.algo.space import CategoricalDimension, Dimension, DoubleDimension, Space, Value
from katibpy.catalog import nearest

_ROUNDING = 1e-9
"""Relative error of bounds written in decimals, which must not cost a rung."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A numeric parameter and the amounts of it that a trial may get.

    Attributes:
        dimension: the parameter.
    """

    dimension: Dimension

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.dimension.name

    @property
    def largest(self) -> float:
        """The largest amount."""
        if isinstance(self.dimension, DoubleDimension) and self.dimension.grid is None:
            return self.dimension.high
        return float(self.dimension.at((self.dimension.cardinality or 1) - 1))

    @property
    def smallest(self) -> float | None:
        """The smallest amount above 0; None where there is none, or endlessly many come closer to it."""
        if isinstance(self.dimension, DoubleDimension) and self.dimension.grid is None:
            return self.dimension.low if self.dimension.low > 0 else None
        first, count = self._first_positive(), self.dimension.cardinality or 0
        return float(self.dimension.at(first)) if first < count else None

    def nearest(self, amount: float) -> Value:
        """The value above 0 whose ratio to `amount` is nearest to 1, on the parameter's grid or list."""
        dimension = self.dimension
        if isinstance(dimension, DoubleDimension) and dimension.grid is None:
            return min(max(amount, dimension.low), dimension.high)
        count, first = dimension.cardinality or 1, self._first_positive()
        above = bisect.bisect_left(range(count), amount, key=lambda index: float(dimension.at(index)))
        places = [place for place in (above - 1, above) if first <= place < count]
        candidates = [dimension.at(place) for place in places] or [dimension.at(min(first, count - 1))]
        return min(candidates, key=lambda value: abs(math.log(float(value) / amount)))

    def _first_positive(self) -> int:
        dimension = self.dimension
        places = range(dimension.cardinality or 0)
        return bisect.bisect_right(places, 0.0, key=lambda index: float(dimension.at(index)))


def resource_problems(problem: Problem, name: str) -> tuple[str, ...]:
    """Why the parameter `name` cannot be the resource; nothing when it can."""
    space = problem.space
    if name not in space.by_name:
        near = nearest(name, space.names)
        hint = f"; did you mean {near}?" if near else ""
        listed = ", ".join(space.names) or "there are none"
        found = f"setting resource_name must be one of the parameters ({listed}), got {name!r}{hint}"
    elif isinstance(space[name], CategoricalDimension):
        found = (
            f"setting resource_name must be a parameter of type int, double or discrete, got {name!r}, which "
            "is categorical: of choices none is more than another"
        )
    elif Resource(space[name]).largest <= 0:
        found = f"parameter {name}, the resource (setting resource_name), must have values above 0"
    elif len(space) < 2:
        found = (
            f"there must be a parameter beside {name}, the resource (setting resource_name), or there is "
            "nothing to search"
        )
    else:
        return ()
    return (found,)


def no_smallest(resource: Resource) -> str:
    """What to tell who did not say what the least is where the parameter does not tell it either."""
    return (
        f"setting r_min must be given: parameter {resource.name} comes endlessly close to 0, so it does not "
        "say what the least is that a trial gets"
    )


def without(space: Space, name: str) -> Space:
    """The space of configurations: all parameters but the resource."""
    return Space(tuple(dimension for dimension in space if dimension.name != name))


def times_larger(small: float, large: float, *, eta: float) -> int:
    """The largest s for which `small` * `eta`**s is at most `large`; 0 where even `small` is more."""
    if large <= small:
        return 0
    guess = int(math.log(large / small) / math.log(eta))
    bound = large * (1 + _ROUNDING)
    return next(power for power in (guess + 1, guess, guess - 1, 0) if small * eta**power <= bound)
