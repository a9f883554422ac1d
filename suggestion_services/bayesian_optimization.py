"""Bayesian optimisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice, repeat
from typing import TYPE_CHECKING

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings, setting
from katibpy.algo.space import Value
from suggestion_services.finite import nearby, seen_keys, walk
from suggestion_services.sobol import sobol_points

if TYPE_CHECKING:
    from suggestion_services.bayes_fits import FitCache

_TREES = ("RF", "ET", "GBRT")
_PATIENCE = 1024


@dataclass(frozen=True, slots=True)
class BayesianOptimizationSettings:
    """Settings of Bayesian optimisation, as in scikit-optimize."""

    base_estimator: str = setting(
        "GP",
        choices=("GP", *_TREES),
        help="the model: Gaussian process, random forest, extra trees, boosted trees",
    )
    n_initial_points: int = setting(10, minimum=0, help="finished trials before the model is used")
    acq_func: str = setting(
        "gp_hedge",
        choices=("gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"),
        help="what the next trial should have most of; gp_hedge learns which, ps means per second",
    )
    acq_optimizer: str = setting(
        "auto",
        choices=("auto", "sampling", "lbfgs"),
        help="sampling looks at draws only, lbfgs climbs from the best; trees have no slope to climb",
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class BayesianOptimization(Algorithm):
    """Bayesian optimisation (Mockus, 1978; Jones et al., 1998) with scikit-optimize's models.

    A model of the loss over unit coordinates, so over each parameter's own distribution, with one column
    for each choice of a categorical parameter, says where an acquisition function is best; steps are looked
    at where they lie. Failed trials and NaN count as the worst that was seen, stopped trials with what
    they showed, pending trials and the earlier ones of a batch as results at the predicted mean
    (Ginsbourger et al., 2010). The first trials are points of a Sobol sequence. `gp_hedge` is Hoffman et
    al. (2011). A finite space is never repeated.
    """

    name = "bayesianoptimization"
    summary = "model-based; for up to a dozen parameters and expensive trials, from 15 trials on"
    Settings = BayesianOptimizationSettings
    learns = True

    def __init__(self) -> None:
        self._cache: FitCache | None = None

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """The trees are scikit-optimize's, which has to be installed for them."""
        settings = parse_settings(BayesianOptimizationSettings, problem.settings)
        if settings.base_estimator not in _TREES or find_spec("skopt") is not None:
            return ()
        return (_missing(settings.base_estimator),)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Fits the model once, then looks for one point after another."""
        # scipy takes most of a second to import, which listing the algorithms need not pay.
        from suggestion_services.bayes_fits import FitCache
        from suggestion_services.bayes_results import Observed
        from suggestion_services.bayes_search import ModelSearch
        from suggestion_services.single_thread import single_thread

        cache = self._cache = self._cache or FitCache()
        space, size = problem.space, problem.space.cardinality
        settings = parse_settings(BayesianOptimizationSettings, problem.settings)
        seen = seen_keys(space, history)
        observed = Observed.of(space, history)
        kept: bytes | None = None
        if size is not None and len(seen) >= size:
            found: list[dict[str, Value]] = []
        elif len(observed.finished) < settings.n_initial_points or not observed.has_usable:
            points = islice(sobol_points(problem, first=history.total), count + _PATIENCE)
            found = list(_new_ones(problem, repeat(points), seen, count=count, rng=rng))
        else:
            with single_thread():
                search = ModelSearch(
                    problem, observed, settings, seen=seen, memory=memory, cache=cache, rng=rng
                )
                found = []
                recommended = (search.ranked(is_first=not found) for _ in range(count))
                for assignment in _new_ones(problem, recommended, seen, count=count, rng=rng):
                    search.await_result(assignment)
                    found.append(assignment)
                kept = search.memory
        return Reply(
            tuple(Proposal(space.format_assignment(assignment)) for assignment in found),
            memory=kept,
            exhausted=size is not None and len(seen) >= size,
        )


def _missing(base_estimator: str) -> str:
    return (
        f"setting base_estimator {base_estimator} needs scikit-optimize; "
        "run: pip install 'katibpy[skopt]', or set GP"
    )


def _new_ones(
    problem: Problem,
    recommended: Iterator[Iterator[dict[str, Value]]],
    seen: set[tuple[Value, ...]],
    *,
    count: int,
    rng: np.random.Generator,
) -> Iterator[dict[str, Value]]:
    """Up to `count` assignments that are not in `seen`, which they join; each from the next of `recommended`.

    Where all that is recommended is known, a neighbour of the best takes its place, and when those are all
    known too, whatever is left.
    """
    space = problem.space
    for assignments in islice(recommended, count):
        if space.cardinality is not None and len(seen) >= space.cardinality:
            return
        stop_if_cancelled()
        fresh = next(
            (each for each in _or_others(problem, assignments, rng) if space.key(each) not in seen), None
        )
        if fresh is None:
            return
        seen.add(tuple(fresh.values()))
        yield fresh


def _or_others(
    problem: Problem, assignments: Iterator[dict[str, Value]], rng: np.random.Generator
) -> Iterator[dict[str, Value]]:
    best: dict[str, Value] | None = None
    for assignment in assignments:
        best = best or assignment
        yield assignment
    if best is not None:
        yield from nearby(problem.space, best, rng)
    if problem.space.cardinality is not None:
        yield from walk(problem.space, seed=problem.seed, start=0)
