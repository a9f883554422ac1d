"""A typed space as the columns that a surrogate model sees, all of them from 0 to 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from katibpy.algo.law import below_one
from katibpy.algo.space import CategoricalDimension, Dimension, Space, Value

Array = npt.NDArray[np.float64]

_MOST_CELLS = 1024
_SMALL_STEP = 0.02
_LARGE_STEP = 0.1
_MOVED_SHARE = 0.5
_SWITCHED_SHARE = 0.2


class Columns(ABC):
    """One dimension with more than one value.

    Attributes:
        name: of the dimension.
        width: number of columns.
    """

    name: str
    width: int

    @abstractmethod
    def write(self, value: Value) -> list[float]:
        """The columns of a value."""

    @abstractmethod
    def read(self, row: Array) -> Value:
        """The value nearest to the columns."""

    @abstractmethod
    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Draws from the dimension's own distribution, one row each."""

    @abstractmethod
    def moved(self, rows: Array, rng: np.random.Generator) -> Array:
        """Values in the neighbourhood of each row's, some of them the same."""

    @abstractmethod
    def snapped(self, rows: Array) -> Array:
        """The nearest rows that stand for a value."""


class _Ordered(Columns):
    """A unit coordinate, over which the dimension's distribution is flat; of steps, the middles."""

    def __init__(self, dimension: Dimension) -> None:
        self.name = dimension.name
        self.width = 1
        self._dimension = dimension
        count = dimension.cardinality
        self._edges: Array | None = None
        if count is not None and count <= _MOST_CELLS:
            self._edges = np.concatenate(([0.0], np.cumsum(dimension.masses())))
            self._middles = np.array([dimension.to_unit(dimension.at(place)) for place in range(count)])

    def write(self, value: Value) -> list[float]:
        return [self._dimension.to_unit(value)]

    def read(self, row: Array) -> Value:
        return self._dimension.from_unit(below_one(float(row[0])))

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return self.snapped(rng.random((count, 1)))

    def moved(self, rows: Array, rng: np.random.Generator) -> Array:
        steps = np.where(rng.random(rows.shape) < 0.5, _SMALL_STEP, _LARGE_STEP)
        steps = np.where(rng.random(rows.shape) < _MOVED_SHARE, steps, 0.0)
        return self.snapped(np.clip(rows + steps * rng.standard_normal(rows.shape), 0.0, 1.0))

    def snapped(self, rows: Array) -> Array:
        if self._edges is None:
            return rows
        places = np.searchsorted(self._edges, rows, side="right") - 1
        snapped: Array = self._middles[np.clip(places, 0, len(self._middles) - 1)]
        return snapped


class _Choices(Columns):
    """One column for each choice, 1 for the one that is taken; of two choices, one column for both."""

    def __init__(self, dimension: CategoricalDimension) -> None:
        self.name = dimension.name
        count = dimension.cardinality
        self._dimension = dimension
        self._rows = np.array([[0.0], [1.0]]) if count == 2 else np.eye(count)
        self.width = self._rows.shape[1]

    def write(self, value: Value) -> list[float]:
        written: list[float] = self._rows[self._dimension.index_of(value)].tolist()
        return written

    def read(self, row: Array) -> Value:
        return self._dimension.at(int(self._places(row[None, :])[0]))

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        drawn: Array = self._rows[rng.integers(len(self._rows), size=count)]
        return drawn

    def moved(self, rows: Array, rng: np.random.Generator) -> Array:
        is_switched = rng.random((len(rows), 1)) < _SWITCHED_SHARE
        return np.where(is_switched, self.draw(len(rows), rng), rows)

    def snapped(self, rows: Array) -> Array:
        snapped: Array = self._rows[self._places(rows)]
        return snapped

    def _places(self, rows: Array) -> npt.NDArray[np.intp]:
        if self.width == 1:
            return (rows[:, 0] > 0.5).astype(np.intp)
        places: npt.NDArray[np.intp] = np.argmax(rows, axis=1)
        return places


class Encoding:
    """All dimensions of a space that have more than one value, side by side.

    Attributes:
        width: number of columns.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        varying = [dimension for dimension in space if dimension.cardinality != 1]
        self._parts: Sequence[Columns] = [
            _Choices(each) if isinstance(each, CategoricalDimension) else _Ordered(each) for each in varying
        ]
        self.width = sum(part.width for part in self._parts)
        self._constants = {
            dimension.name: dimension.at(0) for dimension in space if dimension.cardinality == 1
        }
        ends = np.cumsum([part.width for part in self._parts]).tolist()
        self._slices = [slice(end - part.width, end) for part, end in zip(self._parts, ends, strict=True)]

    def write(self, assignments: Sequence[Mapping[str, Value]]) -> Array:
        """One row for each complete assignment."""
        rows = [
            [number for part in self._parts for number in part.write(assignment[part.name])]
            for assignment in assignments
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), self.width)

    def read(self, row: Array) -> dict[str, Value]:
        """The assignment that a row stands for, in the order of the space."""
        found = {
            part.name: part.read(row[place]) for part, place in zip(self._parts, self._slices, strict=True)
        }
        found |= self._constants
        return {name: found[name] for name in self._space.names}

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Rows of random assignments."""
        return self._joined([part.draw(count, rng) for part in self._parts], count)

    def moved(self, rows: Array, rng: np.random.Generator) -> Array:
        """Rows of assignments in the neighbourhood of each given one."""
        parts = [
            part.moved(rows[:, place], rng) for part, place in zip(self._parts, self._slices, strict=True)
        ]
        return self._joined(parts, len(rows))

    def snapped(self, rows: Array) -> Array:
        """The nearest rows that stand for an assignment."""
        parts = [part.snapped(rows[:, place]) for part, place in zip(self._parts, self._slices, strict=True)]
        return self._joined(parts, len(rows))

    def _joined(self, parts: Sequence[Array], count: int) -> Array:
        return np.hstack(parts) if parts else np.zeros((count, 0))
