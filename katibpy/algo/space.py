"""The typed search space: dimensions, their values, and how values are written in a Trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from katibpy.algo.choices import CategoricalDimension, DiscreteDimension, discrete
from katibpy.algo.dimensions import Dimension, DoubleDimension, IntDimension, Value
from katibpy.algo.grid import Grid, exact
from katibpy.api.experiment import Distribution, ParameterSpec, ParameterType

__all__ = [
    "CategoricalDimension",
    "Dimension",
    "DiscreteDimension",
    "DoubleDimension",
    "IntDimension",
    "Space",
    "Value",
    "dimension_of",
    "space_of",
]


@dataclass(frozen=True, slots=True)
class Space:
    """All dimensions, in the order of the spec.

    An assignment maps names to typed values; the same as text is what a Trial gets.

    Attributes:
        dimensions: with different names.
    """

    dimensions: tuple[Dimension, ...] = ()
    by_name: Mapping[str, Dimension] = field(init=False, repr=False, compare=False)
    cardinality: int | None = field(init=False, repr=False, compare=False)
    """Number of different assignments; None when there are endlessly many."""

    def __post_init__(self) -> None:
        """Prepares the look-up by name and the number of assignments."""
        object.__setattr__(self, "by_name", {dimension.name: dimension for dimension in self.dimensions})
        counts = [dimension.cardinality for dimension in self.dimensions]
        finite = [count for count in counts if count is not None]
        object.__setattr__(self, "cardinality", math.prod(finite) if len(finite) == len(counts) else None)

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return self.by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, in order."""
        return tuple(self.by_name)

    @property
    def is_uniform(self) -> bool:
        """Whether every dimension's values are equally likely."""
        return all(dimension.is_uniform for dimension in self.dimensions)

    def parse_assignment(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Typed values of what the texts say; names and values that the space lacks are left out."""
        found: dict[str, Value] = {}
        for dimension in self.dimensions:
            text = texts.get(dimension.name)
            value = None if text is None else dimension.parse(text)
            if value is not None:
                found[dimension.name] = value
        return found

    def format_assignment(self, assignment: Mapping[str, Value]) -> dict[str, str]:
        """The texts that a Trial gets, for a complete assignment."""
        return {dimension.name: dimension.format(assignment[dimension.name]) for dimension in self.dimensions}

    def from_unit_cube(self, point: Sequence[float]) -> dict[str, Value]:
        """The assignment at a point with one coordinate in [0, 1) for each dimension."""
        return {
            dimension.name: dimension.from_unit(float(unit))
            for dimension, unit in zip(self.dimensions, point, strict=True)
        }

    def to_unit_cube(self, assignment: Mapping[str, Value]) -> list[float]:
        """A point that `from_unit_cube` maps to the complete assignment."""
        return [dimension.to_unit(assignment[dimension.name]) for dimension in self.dimensions]

    def key(self, assignment: Mapping[str, Value]) -> tuple[Value, ...] | None:
        """Equal for equal assignments; None when the assignment lacks a dimension."""
        try:
            return tuple([assignment[name] for name in self.by_name])
        except KeyError:
            return None

    def at(self, index: int) -> dict[str, Value]:
        """Assignment number `index` of a finite space; the last dimension changes fastest.

        Raises:
            IndexError: there is no such number, or the space is not finite.
        """
        if self.cardinality is None or not 0 <= index < self.cardinality:
            raise IndexError(f"the space has no assignment number {index}")
        places: list[int] = []
        for dimension in reversed(self.dimensions):
            index, place = divmod(index, dimension.cardinality or 1)
            places.append(place)
        return {
            dimension.name: dimension.at(place)
            for dimension, place in zip(self.dimensions, reversed(places), strict=True)
        }

    def index_of(self, assignment: Mapping[str, Value]) -> int:
        """Number of a complete assignment in a finite space: the inverse of `at`."""
        index = 0
        for dimension in self.dimensions:
            index = index * (dimension.cardinality or 1) + dimension.index_of(assignment[dimension.name])
        return index


def space_of(parameters: Sequence[ParameterSpec]) -> Space:
    """The typed space of an Experiment whose parameters have passed validation.

    Raises:
        ValueError: a parameter that validation should have refused.
    """
    return Space(tuple(dimension_of(parameter) for parameter in parameters))


def dimension_of(parameter: ParameterSpec) -> Dimension:
    """The typed dimension of one validated parameter; lists have no distribution.

    Raises:
        ValueError: what validation should have refused.
    """
    name, feasible = parameter.name, parameter.feasible_space
    kind = ParameterType(parameter.parameter_type)
    if kind is ParameterType.CATEGORICAL:
        return CategoricalDimension(name, tuple(dict.fromkeys(feasible.list or ())))
    if kind is ParameterType.DISCRETE:
        return discrete(name, tuple(feasible.list or ()))
    low, high = exact(feasible.min or ""), exact(feasible.max or "")
    if low is None or high is None or kind is ParameterType.UNKNOWN:
        raise ValueError(
            f"parameter {name} needs numeric min and max, got {feasible.min!r}, {feasible.max!r}"
        )
    step = exact(feasible.step) if feasible.step else None
    law = Distribution(feasible.distribution) if feasible.distribution else Distribution.UNIFORM
    if law is Distribution.UNKNOWN:
        law = Distribution.UNIFORM
    if kind is ParameterType.INT:
        return IntDimension(name, int(low), int(high), step=int(step or 1), distribution=law)
    grid = Grid.between(low, high, step) if step else None
    return DoubleDimension(name, float(low), float(high), distribution=law, grid=grid)
