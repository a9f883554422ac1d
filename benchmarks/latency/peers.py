"""Libraries called directly, on the same history as the service."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Protocol

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from threadpoolctl import threadpool_limits

from katibpy.algo.space import CategoricalDimension, Dimension, DoubleDimension, IntDimension, Space, Value
from latency.landscapes import Terrain

_OWN_TRIALS = 60


class Peer(Protocol):
    """A library that proposes."""

    def add(self, assignment: Mapping[str, Value], loss: float) -> None:
        """One more finished trial."""
        ...

    def ready(self) -> None:
        """The history is complete so far: measurements follow."""
        ...

    def ask(self) -> float:
        """Seconds that one proposal takes; it shall not pend for the next one."""
        ...


PeerKind = Callable[[Terrain], Peer]


def by_optuna(sampler: Callable[[], optuna.samplers.BaseSampler]) -> PeerKind:
    """`Study.ask`, told the history."""
    return lambda terrain: _Optuna(terrain, sampler())


def by_optuna_alone(sampler: Callable[[], optuna.samplers.BaseSampler]) -> PeerKind:
    """`Study.ask` after a history as long, whose last trials are its own: it learns from no others."""
    return lambda terrain: _OptunaAlone(terrain, sampler())


def by_scikit_optimize(**options: str) -> PeerKind:
    """A new `skopt.Optimizer`, told the history at once and asked; on one thread, which is its fastest."""
    return lambda terrain: _ScikitOptimize(terrain.space, options)


class _Optuna:
    def __init__(self, terrain: Terrain, sampler: optuna.samplers.BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._terrain = terrain
        self._dimensions = terrain.space.dimensions
        self._distributions = {each.name: _distribution(each) for each in self._dimensions}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some options are called experimental
            self._study = optuna.create_study(sampler=sampler)

    def add(self, assignment: Mapping[str, Value], loss: float) -> None:
        trial = optuna.trial.create_trial(
            params={each.name: _written(each, assignment[each.name]) for each in self._dimensions},
            distributions=self._distributions,
            value=loss,
        )
        self._study.add_trial(trial)

    def ready(self) -> None:
        pass

    def ask(self) -> float:
        seconds, asked = self._timed()
        self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return seconds

    def _timed(self) -> tuple[float, optuna.trial.Trial]:
        before = time.perf_counter()
        asked = self._study.ask(self._distributions)
        return time.perf_counter() - before, asked


class _OptunaAlone(_Optuna):
    """Only trials that the sampler has proposed itself carry its state."""

    def __init__(self, terrain: Terrain, sampler: optuna.samplers.BaseSampler) -> None:
        super().__init__(terrain, sampler)
        self._is_ready = False

    def add(self, assignment: Mapping[str, Value], loss: float) -> None:
        if not self._is_ready:
            super().add(assignment, loss)

    def ready(self) -> None:
        self._is_ready = True
        for _ in range(_OWN_TRIALS):
            self.ask()

    def ask(self) -> float:
        seconds, asked = self._timed()
        assignment = {each.name: _read(each, asked.params[each.name]) for each in self._dimensions}
        self._study.tell(asked, self._terrain.loss(assignment))
        return seconds


class _ScikitOptimize:
    def __init__(self, space: Space, options: Mapping[str, str]) -> None:
        # Seconds to import, which only those who measure it should wait for.
        import skopt

        self._options = options
        self._new = skopt.Optimizer
        self._dimensions = space.dimensions
        self._columns = [_skopt_dimension(each) for each in self._dimensions]
        self._points: list[list[Value]] = []
        self._losses: list[float] = []

    def add(self, assignment: Mapping[str, Value], loss: float) -> None:
        self._points.append([assignment[each.name] for each in self._dimensions])
        self._losses.append(loss)

    def ready(self) -> None:
        pass

    def ask(self) -> float:
        before = time.perf_counter()
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore")
            optimizer = self._new(self._columns, random_state=1, **self._options)
            optimizer.tell(self._points, self._losses)
            optimizer.ask()
        return time.perf_counter() - before


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, CategoricalDimension):
        return CategoricalDistribution(dimension.choices)
    is_logarithmic = _is_logarithmic(dimension)
    if isinstance(dimension, DoubleDimension):
        return FloatDistribution(dimension.low, dimension.high, log=is_logarithmic)
    if isinstance(dimension, IntDimension):
        return IntDistribution(dimension.low, dimension.high, log=is_logarithmic)
    return IntDistribution(0, (dimension.cardinality or 1) - 1)  # listed numbers have an order


def _skopt_dimension(dimension: Dimension) -> object:
    from skopt.space import Categorical, Integer, Real

    prior = "log-uniform" if _is_logarithmic(dimension) else "uniform"
    if isinstance(dimension, DoubleDimension):
        return Real(dimension.low, dimension.high, prior)
    if isinstance(dimension, IntDimension):
        return Integer(dimension.low, dimension.high, prior)
    return Categorical([dimension.at(place) for place in range(dimension.cardinality or 1)])


def _is_logarithmic(dimension: Dimension) -> bool:
    return isinstance(dimension, DoubleDimension | IntDimension) and "log" in dimension.distribution.value


def _is_listed(dimension: Dimension) -> bool:
    return not isinstance(dimension, CategoricalDimension | DoubleDimension | IntDimension)


def _written(dimension: Dimension, value: Value) -> Value:
    return dimension.index_of(value) if _is_listed(dimension) else value


def _read(dimension: Dimension, value: Value) -> Value:
    return dimension.at(int(value)) if _is_listed(dimension) else value
