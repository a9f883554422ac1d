"""The two list dimensions: discrete (numbers) and categorical (texts)."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field

from katibpy.algo.dimensions import Dimension, Value
from katibpy.algo.grid import equal_cell, equal_middle


@dataclass(frozen=True, slots=True)
class DiscreteDimension(Dimension):
    """A number out of a list, ascending.

    Attributes:
        texts: the user's own spelling of each number.
        values: the numbers, ascending, no two equal; whole ones that are written so are ints.
    """

    name: str
    texts: tuple[str, ...]
    values: tuple[int | float, ...]

    @property
    def cardinality(self) -> int:
        """Length of the list."""
        return len(self.values)

    @property
    def is_uniform(self) -> bool:
        """Always: each number of the list is as likely as any other."""
        return True

    def parse(self, text: str) -> int | float | None:
        """The number of the list that `text` equals, however it is spelt."""
        number = _number(text)
        if number is None:
            return None
        index = bisect.bisect_left(self.values, number)
        return self.values[index] if index < len(self.values) and self.values[index] == number else None

    def format(self, value: Value) -> str:
        """The user's spelling."""
        return self.texts[self.index_of(value)]

    def from_unit(self, unit: float) -> int | float:
        """The number whose equal part of the unit interval holds `unit`."""
        return self.values[equal_cell(unit, len(self.values))]

    def to_unit(self, value: Value) -> float:
        """Middle of the number's part."""
        return equal_middle(self.index_of(value), len(self.values))

    def at(self, index: int) -> int | float:
        """Number `index` of the ascending list."""
        if not 0 <= index < len(self.values):
            raise IndexError(f"{self.name} has {len(self.values)} values, got index {index}")
        return self.values[index]

    def index_of(self, value: Value) -> int:
        """Place of `value` in the ascending list."""
        if not isinstance(value, str):
            index = bisect.bisect_left(self.values, value)
            if index < len(self.values) and self.values[index] == value:
                return index
        raise ValueError(f"{self.name} has no value {value!r}")


@dataclass(frozen=True, slots=True)
class CategoricalDimension(Dimension):
    """One of several texts that have no order.

    Attributes:
        choices: the texts, in the user's order, no two equal.
    """

    name: str
    choices: tuple[str, ...]
    places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepares the look-up by text."""
        object.__setattr__(self, "places", {choice: place for place, choice in enumerate(self.choices)})

    @property
    def cardinality(self) -> int:
        """Number of choices."""
        return len(self.choices)

    @property
    def is_uniform(self) -> bool:
        """Always."""
        return True

    def parse(self, text: str) -> str | None:
        """The text itself when it is a choice."""
        return text if text in self.places else None

    def format(self, value: Value) -> str:
        """The text itself."""
        return str(value)

    def from_unit(self, unit: float) -> str:
        """The choice whose equal part of the unit interval holds `unit`."""
        return self.choices[equal_cell(unit, len(self.choices))]

    def to_unit(self, value: Value) -> float:
        """Middle of the choice's part."""
        return equal_middle(self.index_of(value), len(self.choices))

    def at(self, index: int) -> str:
        """Choice number `index`."""
        if not 0 <= index < len(self.choices):
            raise IndexError(f"{self.name} has {len(self.choices)} choices, got index {index}")
        return self.choices[index]

    def index_of(self, value: Value) -> int:
        """Place of the choice in the list."""
        place = self.places.get(str(value))
        if place is None:
            raise ValueError(f"{self.name} has no choice {value!r}")
        return place


def _number(text: str) -> int | float | None:
    """A finite number as int when it is written without a point or exponent, else as float."""
    stripped = text.strip()
    try:
        return int(stripped)
    except ValueError:
        pass
    try:
        value = float(stripped)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def discrete(name: str, texts: tuple[str, ...]) -> DiscreteDimension:
    """A discrete dimension over the numbers that `texts` spell; of two equal ones the first counts."""
    spelt: dict[int | float, str] = {}
    for text in texts:
        number = _number(text)
        if number is None:
            raise ValueError(f"{name} lists {text!r}, which is not a number")
        spelt.setdefault(number, text)
    values = tuple(sorted(spelt))
    return DiscreteDimension(name, tuple(spelt[value] for value in values), values)
