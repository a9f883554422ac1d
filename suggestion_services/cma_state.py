"""What CMA-ES keeps between two requests, as arrays in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from katibpy.algo.space import Space
from suggestion_services.memory_arrays import mark_of, pack, unpack

if TYPE_CHECKING:
    from cmaes import CMA

_VERSION = 1

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A draw whose result is awaited.

    Attributes:
        draw: unit coordinates as they were drawn; beyond the range, or between two steps, where those round.
        generation: the distribution that it came from.
        is_foreign: it was not drawn, but put in place of one that would have been a repeat.
    """

    draw: Vector
    generation: int
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of CMA-ES, from a start to its convergence.

    Attributes:
        number: 0 for the first.
        is_small: whether it belongs to the small-population regime of BIPOP.
        doublings: how often the population has been doubled so far.
        evaluations: results that this run has used.
        large_evaluations: results that ended runs of the large regime have used.
        small_evaluations: the same of the small regime.
        is_over: converged, and no other run follows.
    """

    number: int = 0
    is_small: bool = False
    doublings: int = 0
    evaluations: int = 0
    large_evaluations: int = 0
    small_evaluations: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Distribution:
    """The normal distribution that is searched with, and its paths. Arrays have one entry per dimension.

    Attributes:
        population: results for each update.
        first_sigma: step size at the start of the run.
        sigma: step size now.
        mean: in unit coordinates.
        covariance: square.
        sigma_path: evolution path of the step size.
        covariance_path: evolution path of the covariance.
        best_and_worst: of the last generations, as the package lays them out.
        generation: updates so far.
        stretch: factor on each dimension's deviation that keeps the margin.
    """

    population: int
    first_sigma: float
    sigma: float
    mean: Vector
    covariance: Vector
    sigma_path: Vector
    covariance_path: Vector
    best_and_worst: Vector
    generation: int
    stretch: Vector

    @classmethod
    def of(cls, optimizer: CMA, *, first_sigma: float, stretch: Vector) -> Distribution:
        """Reads the package's optimiser.

        It has no public way to save itself but pickling, so its attributes are read; a test notices when
        their names change.
        """
        return cls(
            population=optimizer.population_size,
            first_sigma=first_sigma,
            sigma=float(optimizer._sigma),
            mean=optimizer._mean.copy(),
            covariance=optimizer._C.copy(),
            sigma_path=optimizer._p_sigma.copy(),
            covariance_path=optimizer._pc.copy(),
            best_and_worst=optimizer._funhist_values.copy(),
            generation=optimizer.generation,
            stretch=stretch.copy(),
        )

    @classmethod
    def first(cls, mean: Vector, *, sigma: float, population: int | None = None) -> Distribution:
        """A round one about `mean`; a population that fits the dimensions when none is given."""
        from cmaes import CMA

        optimizer = CMA(mean=mean, sigma=sigma, population_size=population)
        # Left uninitialised by the package, which does not read it before it is filled; but it is saved.
        optimizer._funhist_values.fill(0.0)
        return cls.of(optimizer, first_sigma=sigma, stretch=np.ones(len(mean)))

    def optimizer(self, bounds: Vector) -> CMA:
        """The package's optimiser in this state.

        Args:
            bounds: lowest and highest coordinate of each dimension, one row each.
        """
        from cmaes import CMA

        optimizer = CMA(
            mean=np.clip(self.mean, bounds[:, 0], bounds[:, 1]),
            sigma=self.first_sigma,
            bounds=bounds,
            population_size=self.population,
            cov=self.covariance.copy(),
        )
        optimizer._sigma = self.sigma
        optimizer._p_sigma = self.sigma_path.copy()
        optimizer._pc = self.covariance_path.copy()
        optimizer._funhist_values = self.best_and_worst.copy()
        optimizer._g = self.generation
        return optimizer


@dataclass(slots=True)
class State:
    """Everything that is kept.

    Attributes:
        distribution: of the present run.
        run: the present run.
        points: number of a draw to the draw; of the present run, without a result that has been used.
        next_point: number of the next draw.
    """

    distribution: Distribution
    run: Run = field(default_factory=Run)
    points: dict[int, Point] = field(default_factory=dict)
    next_point: int = 0

    def to_bytes(self, space: Space) -> bytes:
        """As text in bytes: numbers as such, arrays as the base64 of little-endian doubles."""
        distribution = self.distribution
        upper = np.triu_indices(len(distribution.mean))
        written = {
            "version": _VERSION,
            "space": mark_of(space),
            "population": distribution.population,
            "first_sigma": distribution.first_sigma,
            "sigma": distribution.sigma,
            "generation": distribution.generation,
            "mean": pack(distribution.mean),
            "covariance": pack(distribution.covariance[upper]),
            "sigma_path": pack(distribution.sigma_path),
            "covariance_path": pack(distribution.covariance_path),
            "best_and_worst": pack(distribution.best_and_worst),
            "stretch": pack(distribution.stretch),
            "run": {name: getattr(self.run, name) for name in Run.__dataclass_fields__},
            "next_point": self.next_point,
            "points": {
                number: [point.generation, int(point.is_foreign), pack(point.draw)]
                for number, point in self.points.items()
            },
        }
        return json.dumps(written, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, memory: bytes, space: Space) -> State | None:
        """What `to_bytes` wrote; None when it is of another space or version, or cannot be read."""
        try:
            read: Mapping[str, Any] = json.loads(memory)
            if (read["version"], read["space"]) != (_VERSION, mark_of(space)):
                return None
            mean = unpack(read["mean"])
            return cls(
                distribution=Distribution(
                    population=int(read["population"]),
                    first_sigma=float(read["first_sigma"]),
                    sigma=float(read["sigma"]),
                    mean=mean,
                    covariance=_symmetric(unpack(read["covariance"]), len(mean)),
                    sigma_path=unpack(read["sigma_path"]),
                    covariance_path=unpack(read["covariance_path"]),
                    best_and_worst=unpack(read["best_and_worst"]),
                    generation=int(read["generation"]),
                    stretch=unpack(read["stretch"]),
                ),
                run=Run(**read["run"]),
                points={
                    int(number): Point(unpack(draw), int(generation), bool(is_foreign))
                    for number, (generation, is_foreign, draw) in read["points"].items()
                },
                next_point=int(read["next_point"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None


def _symmetric(upper: Vector, size: int) -> Vector:
    square = np.zeros((size, size))
    square[np.triu_indices(size)] = upper
    return square + np.triu(square, 1).T
