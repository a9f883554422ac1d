"""Search spaces with a loss, and trials drawn from them at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from katibpy.algo.space import Space, Value, space_of
from katibpy.api.experiment import ParameterSpec
from katibpy.testing import builders as build

_NOISE = 0.05


@dataclass(frozen=True, slots=True)
class Landscape:
    """What is searched.

    Attributes:
        name: for the report.
        parameters: of the Experiment.
    """

    name: str
    parameters: tuple[ParameterSpec, ...]

    @property
    def space(self) -> Space:
        """The typed space."""
        return space_of(self.parameters)


MIXED = Landscape(
    "mixed 5",
    (
        build.double("lr", 1e-5, 0.1, distribution="logUniform"),
        build.double("momentum", 0, 1),
        build.integer("layers", 1, 10),
        build.discrete("batch", 16, 32, 64, 128),
        build.categorical("optimizer", "sgd", "adam", "ftrl"),
    ),
)
DOUBLES = Landscape("doubles 10", tuple(build.double(f"x{place}", 0, 1) for place in range(10)))
FINITE = Landscape(
    "finite 5",
    (
        build.double("lr", 0.01, 0.2, step=0.01),
        *(build.integer(f"layers{place}", 1, 10) for place in range(3)),
        build.categorical("optimizer", "sgd", "adam", "ftrl"),
    ),
)


class Terrain:
    """Losses over a landscape: a noisy bowl in unit coordinates."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self._rng = np.random.default_rng(seed)
        self._best = self._rng.random(len(space))

    def loss(self, assignment: Mapping[str, Value]) -> float:
        """The loss of a trial; the next one of the same assignment has another."""
        units = np.array(self.space.to_unit_cube(assignment))
        return float(((units - self._best) ** 2).sum() + self._rng.normal(0.0, _NOISE))

    def drawn(self) -> dict[str, Value]:
        """A random assignment."""
        return self.space.from_unit_cube(self._rng.random(len(self.space)).tolist())
