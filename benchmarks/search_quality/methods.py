"""Whoever proposes: every algorithm of ours by its name, and the libraries with their defaults."""

# ruff: noqa: D102 - what each method does stands in the protocol

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from task import Task

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.hosting import algorithm_named
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.algo.space import CategoricalDimension, Dimension, DoubleDimension, Value
from katibpy.api.experiment import Distribution
from katibpy.errors import InvalidSettings


class Method(Protocol):
    """One search, sequential: ask, then tell."""

    note: str

    def ask(self) -> dict[str, Value] | None:
        """The next assignment; None when there is none."""
        ...

    def tell(self, assignment: Mapping[str, Value], loss: float) -> None:
        """What it showed."""
        ...


class Ours:
    """An algorithm of the catalogue, asked as a service would."""

    def __init__(self, name: str, task: Task, budget: int, seed: int) -> None:
        self.note = ""
        self._algorithm = algorithm_named(name)
        self._problem = Problem(
            name=task.name,
            uid=f"{name}-{task.name}-{seed}",
            space=task.space,
            settings={},
            seed=seed,
            parallel_trial_count=1,
            max_trial_count=budget,
            metric_names=("loss",),
        )
        check(self._algorithm, self._problem)
        self._entries: list[Entry] = []
        self._memory: bytes | None = None
        self._labels: Mapping[str, str] = {}

    def ask(self) -> dict[str, Value] | None:
        history = History(tuple(self._entries), len(self._entries))
        reply = ask(self._algorithm, self._problem, history, count=1, memory=self._memory)
        self._memory = self._memory if reply.memory is None else reply.memory
        self.note = reply.note or self.note
        if not reply.proposals:
            return None
        self._labels = reply.proposals[0].labels
        return self._problem.space.parse_assignment(reply.proposals[0].assignment)

    def tell(self, assignment: Mapping[str, Value], loss: float) -> None:
        number = len(self._entries)
        self._entries.append(
            Entry(
                f"t{number}",
                assignment,
                Outcome.SUCCEEDED,
                loss=loss,
                labels=self._labels,
                number=number,
                start_time=float(number),
                completion_time=number + 1.0,
            )
        )


class Optuna:
    """A sampler of Optuna with its defaults; a list of numbers is given by the places in it."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, task: Task) -> None:
        self.note = ""
        self._task = task
        self._distributions = {dimension.name: _distribution(dimension) for dimension in task.space}
        self._study = optuna.create_study(sampler=sampler)
        self._asked: optuna.Trial | None = None

    def ask(self) -> dict[str, Value] | None:
        self._asked = self._study.ask(self._distributions)
        return {
            dimension.name: dimension.at(int(self._asked.params[dimension.name]))
            if _is_by_place(dimension)
            else self._asked.params[dimension.name]
            for dimension in self._task.space
        }

    def tell(self, assignment: Mapping[str, Value], loss: float) -> None:
        assert self._asked is not None
        self._study.tell(self._asked, loss)


class Skopt:
    """scikit-optimize's `Optimizer` with its defaults; a list of numbers is given by the places in it."""

    def __init__(self, task: Task, seed: int) -> None:
        import skopt

        self.note = ""
        self._task = task
        self._point: list[Any] = []
        self._optimizer = skopt.Optimizer([_skopt(each) for each in task.space], random_state=seed)

    def ask(self) -> dict[str, Value] | None:
        self._point = self._optimizer.ask()
        return {
            dimension.name: dimension.at(int(value))
            if _is_by_place(dimension)
            else int(value)
            if isinstance(value, np.integer)
            else value
            for dimension, value in zip(self._task.space, self._point, strict=True)
        }

    def tell(self, assignment: Mapping[str, Value], loss: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer.tell(self._point, loss)


def method(name: str, task: Task, *, budget: int, seed: int) -> Method | None:
    """A new search; None when the method cannot be had here or refuses the task.

    Args:
        name: of an algorithm of ours, or `optuna-...` or `skopt-...`.
        task: what to search.
        budget: how many trials there will be.
        seed: of all draws.
    """
    if name in _OPTUNA:
        if name == "optuna-gp" and find_spec("torch") is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Optuna(_OPTUNA[name](seed), task)
    if name == "skopt-gp":
        return Skopt(task, seed) if find_spec("skopt") else None
    try:
        return Ours(name, task, budget, seed)
    except InvalidSettings:
        return None


_OPTUNA: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "optuna-random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "optuna-tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "optuna-cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "optuna-gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}


def _is_by_place(dimension: Dimension) -> bool:
    return type(dimension).__name__ == "DiscreteDimension"


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    if isinstance(dimension, CategoricalDimension):
        return CategoricalDistribution(dimension.choices)
    if _is_by_place(dimension):
        return IntDistribution(0, (dimension.cardinality or 1) - 1)
    is_log = getattr(dimension, "distribution", None) is Distribution.LOG_UNIFORM
    low, high = dimension.low, dimension.high  # type: ignore[attr-defined]
    if isinstance(dimension, DoubleDimension):
        return FloatDistribution(low, high, log=is_log)
    return IntDistribution(low, high, log=is_log)


def _skopt(dimension: Dimension) -> Any:
    from skopt.space import Categorical, Integer, Real

    if isinstance(dimension, CategoricalDimension):
        return Categorical(dimension.choices, name=dimension.name)
    if _is_by_place(dimension):
        return Integer(0, (dimension.cardinality or 1) - 1, name=dimension.name)
    is_log = getattr(dimension, "distribution", None) is Distribution.LOG_UNIFORM
    kind = Real if isinstance(dimension, DoubleDimension) else Integer
    prior = "log-uniform" if is_log else "uniform"
    return kind(dimension.low, dimension.high, prior=prior, name=dimension.name)  # type: ignore[attr-defined]
