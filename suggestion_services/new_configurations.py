"""Configurations that were not tried before: where they come from in successive halving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from katibpy.algo.history import History
from katibpy.algo.randomness import generator
from katibpy.algo.space import Space, Value
from suggestion_services.finite import seen_keys, walk

_PATIENCE = 1000
"""Draws that may all have been seen before one is chosen without regard to where they come from."""


class Configurations(ABC):
    """A supply of assignments without the resource; each one of a finite space comes once.

    For one request: it remembers what it gave.
    """

    def __init__(self, space: Space, history: History) -> None:
        """Takes note of what was tried.

        Args:
            space: without the resource.
            history: what was tried, with the resource.
        """
        self.space = space
        self._seen = set() if space.cardinality is None else seen_keys(space, history)

    @property
    def has_ended(self) -> bool:
        """Whether there is none left."""
        return self.space.cardinality is not None and len(self._seen) >= self.space.cardinality

    def take(self, number: int) -> dict[str, Value]:
        """A configuration for proposal `number`; there must be one left."""
        draws = self.draws(number)
        if self.space.cardinality is None:
            return next(draws)
        candidates = chain(islice(draws, _PATIENCE), walk(self.space, seed=number, start=0))
        found = next(each for each in candidates if self.space.key(each) not in self._seen)
        self._seen.add(tuple(found[name] for name in self.space.names))
        return found

    @abstractmethod
    def draws(self, number: int) -> Iterator[dict[str, Value]]:
        """Configurations for proposal `number`, endlessly many; the first that is new is taken."""


class RandomConfigurations(Configurations):
    """Independent draws from the parameters' distributions: number i depends on the seed and on i alone."""

    def __init__(self, space: Space, history: History, *, seed: int) -> None:
        """As the base class, with the seed of all draws."""
        super().__init__(space, history)
        self._seed = seed

    def draws(self, number: int) -> Iterator[dict[str, Value]]:
        """Those of stream `number`."""
        return independent_draws(self.space, generator(self._seed, number))


def independent_draws(space: Space, rng: np.random.Generator) -> Iterator[dict[str, Value]]:
    """Endlessly many assignments from the parameters' distributions."""
    while True:
        yield space.from_unit_cube(rng.random(len(space)).tolist())
