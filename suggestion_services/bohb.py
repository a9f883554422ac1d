"""BOHB: Hyperband that learns where to start."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.settings import parse_settings, setting
from katibpy.algo.space import Value
from suggestion_services.bohb_model import Density, ModelSpace
from suggestion_services.hyperband import Hyperband, HyperbandSettings
from suggestion_services.new_configurations import Configurations, independent_draws
from suggestion_services.rung_resource import Resource, without


@dataclass(frozen=True, slots=True)
class BohbSettings(HyperbandSettings):
    """Those of `hyperband`, and of the model those of its authors' program by the same names."""

    min_points_in_model: int | None = setting(
        None, minimum=1, help="good and other trials that a model needs each; None: one more than parameters"
    )
    top_n_percent: float = setting(15.0, above=0, below=100, help="percentage of trials that count as good")
    num_samples: int = setting(64, minimum=1, help="draws from which the best is proposed")
    random_fraction: float = setting(
        1 / 3, minimum=0, maximum=1, help="share of configurations that are drawn at random all the same"
    )
    bandwidth_factor: float = setting(3.0, above=0, help="how much wider than the model the draws spread")
    min_bandwidth: float = setting(0.001, above=0, help="no kernel of the model is narrower")


class Bohb(Hyperband):
    """Bayesian optimisation and Hyperband (Falkner et al., 2018): the brackets of `hyperband`, guided.

    Of the trials at the largest amount of the resource that has enough of them, kernel densities of the good
    and of the other configurations are fitted; a new configuration is, of some draws from around the
    good ones, the one with the highest ratio of the two. As the paper has it, part of the configurations stay
    random, and trials that still run are not modelled: few draws keep those of a batch apart.

    A trial that failed, or whose loss is missing, NaN or infinite, is among the others. Trials that another
    search made count too, where they say how much of the resource they got.
    """

    name = "bohb"
    summary = "hyperband that learns from the trials where to start; better than it from some brackets on"
    Settings = BohbSettings

    def configurations(self, problem: Problem, history: History, resource: Resource) -> Configurations:
        """From the model, or at random as long as there is none."""
        return _ModelledConfigurations(problem, history, resource)


class _ModelledConfigurations(Configurations):
    """Draws by the ratio of two densities."""

    def __init__(self, problem: Problem, history: History, resource: Resource) -> None:
        super().__init__(without(problem.space, resource.name), history)
        self._seed = problem.seed
        self._settings = parse_settings(BohbSettings, problem.settings)
        self._model_space = ModelSpace.of(self.space)
        self._by_amount = _results(problem, history, resource)
        self._densities: tuple[Density, Density] | None = None
        self._is_fitted = False

    def draws(self, number: int) -> Iterator[dict[str, Value]]:
        """First the model's, the best ahead, then random ones."""
        rng = generator(self._seed, number)
        is_random = rng.random() < self._settings.random_fraction
        densities = None if is_random else self._fitted()
        if densities is not None:
            good, other = densities
            points = good.sample(self._settings.num_samples, self._settings.bandwidth_factor, rng)
            order = np.argsort(other.log_at(points) - good.log_at(points), kind="stable")
            yield from (self._model_space.assignment(points[place]) for place in order)
        yield from independent_draws(self.space, rng)

    def _fitted(self) -> tuple[Density, Density] | None:
        if not self._is_fitted:
            self._is_fitted = True
            amounts = sorted(self._by_amount, key=float, reverse=True)
            fits = (self._fit(self._by_amount[amount]) for amount in amounts)
            self._densities = next((fit for fit in fits if fit is not None), None)
        return self._densities

    def _fit(self, results: list[tuple[float, Mapping[str, Value]]]) -> tuple[Density, Density] | None:
        """Densities of the good and of the other ones, None when there are not enough of either."""
        settings, dimensions = self._settings, len(self._model_space.names)
        least = max(settings.min_points_in_model or 0, dimensions + 1)
        good = max(least, int(settings.top_n_percent * len(results) / 100))
        if not dimensions or len(results) < good + least:
            return None
        results = sorted(results, key=lambda result: result[0])
        if not math.isfinite(results[good - 1][0]):
            return None
        points = self._model_space.points([assignment for _, assignment in results])
        choices, narrowest = self._model_space.choices, settings.min_bandwidth
        return (
            Density(points[:good], choices, min_bandwidth=narrowest),
            Density(points[good:], choices, min_bandwidth=narrowest),
        )


def _results(
    problem: Problem, history: History, resource: Resource
) -> dict[Value, list[tuple[float, Mapping[str, Value]]]]:
    """Loss and assignment of all that has ended, by the amount of the resource; infinite for what is bad."""
    found: defaultdict[Value, list[tuple[float, Mapping[str, Value]]]] = defaultdict(list)
    for entry in history.finished():
        if entry.outcome is not Outcome.KILLED and problem.space.key(entry.assignment) is not None:
            found[entry.assignment[resource.name]].append((_loss(entry), entry.assignment))
    return found


def _loss(entry: Entry) -> float:
    is_usable = entry.outcome is not Outcome.FAILED and entry.loss is not None and math.isfinite(entry.loss)
    return entry.loss if is_usable and entry.loss is not None else math.inf
