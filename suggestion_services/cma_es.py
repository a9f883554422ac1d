"""Covariance matrix adaptation evolution strategy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings, setting
from katibpy.algo.space import CategoricalDimension, Dimension, DoubleDimension, IntDimension, Space, Value
from suggestion_services.cma_restarts import Restarts
from suggestion_services.cma_search import CmaSearch, Result
from suggestion_services.cma_state import Distribution, State, Vector
from suggestion_services.finite import nearby, seen_keys, walk

POINT_LABEL = "cmaes.suggestion.katib.kubeflow.org/point"
GENERATION_LABEL = "cmaes.suggestion.katib.kubeflow.org/generation"
_USUAL_SIGMA = 1.0 / 6.0
_SMALLEST_SIGMA = 1e-9
_FEWEST_NUMERIC = 2
_PATIENCE = 10
_SEEDS = 1 << 32


@dataclass(frozen=True, slots=True)
class CmaEsSettings:
    """Settings of CMA-ES."""

    sigma: float = setting(
        0.0, minimum=0, help="first step as a share of each parameter's range, at most 1; 0 for a sixth"
    )
    restart_strategy: str | None = setting(
        None,
        choices=tuple(Restarts),
        help="start again after convergence, with growing or with changing populations",
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class CmaEs(Algorithm):
    """Covariance matrix adaptation (Hansen and Ostermeier, 2001), by the `cmaes` package.

    A normal distribution over unit coordinates, so over each parameter's own distribution, moves towards
    the better half of each population. Steps are kept alive by a margin (Hamano et al., 2022). Lists of
    numbers take part as steps; categorical parameters are drawn evenly and independently. Failed trials
    and NaN rank last in their population, stopped trials count with what they showed, killed ones are
    replaced. Restarts are IPOP (Auger and Hansen, 2005) and BIPOP (Hansen, 2009).
    """

    name = "cmaes"
    summary = "evolution strategy for interacting numeric parameters; wants 100 trials or more"
    Settings = CmaEsSettings
    learns = True

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """At least two int or double parameters have to vary."""
        names = [
            dimension.name
            for dimension in problem.space
            if isinstance(dimension, DoubleDimension | IntDimension) and dimension.cardinality != 1
        ]
        if len(names) >= _FEWEST_NUMERIC:
            return ()
        got = f"{len(names)} ({', '.join(names)})" if names else "none"
        rule = f"at least {_FEWEST_NUMERIC} parameters of type double or int with several values"
        return (f"algorithm cmaes needs {rule}, got {got}; add one, or use another algorithm, such as tpe",)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Uses the results that came in, then draws from the distribution."""
        space = problem.space
        settings = parse_settings(CmaEsSettings, problem.settings)
        sigma = min(max(settings.sigma, _SMALLEST_SIGMA), 1.0) if settings.sigma else _USUAL_SIGMA
        searched = tuple(dimension for dimension in space if _is_searched(dimension))
        kept = None if memory is None else State.from_bytes(memory, space)
        search = CmaSearch(
            searched,
            kept or State(Distribution.first(_start(searched, history), sigma=sigma)),
            sigma=sigma,
            restarts=None if settings.restart_strategy is None else Restarts(settings.restart_strategy),
        )
        _learn(search, history, rng)
        search.reseed(int(rng.integers(_SEEDS)))
        # Draws from a continuum do not repeat, and going through a long history takes longer than all else.
        seen = set() if space.cardinality is None else seen_keys(space, history)
        proposals: list[Proposal] = []
        while len(proposals) < count and (space.cardinality is None or len(seen) < space.cardinality):
            stop_if_cancelled()
            fresh = _fresh(problem, search, searched, seen, rng)
            if fresh is None:
                break
            draw, assignment, is_foreign = fresh
            seen.add(tuple(assignment.values()))
            distribution, run = search.state.distribution, search.state.run
            labels = {
                POINT_LABEL: str(search.await_result(draw, is_foreign=is_foreign)),
                GENERATION_LABEL: f"{run.number}.{distribution.generation}",
            }
            proposals.append(Proposal(space.format_assignment(assignment), labels=labels))
        return Reply(
            tuple(proposals),
            memory=search.state.to_bytes(space),
            exhausted=space.cardinality is not None and len(seen) >= space.cardinality,
        )


def _is_searched(dimension: Dimension) -> bool:
    return not isinstance(dimension, CategoricalDimension) and dimension.cardinality != 1


def _start(searched: tuple[Dimension, ...], history: History) -> Vector:
    """Where the first run begins: at the best of what others proposed, else in the middle."""
    known = [entry for entry in history if _loss(entry) is not None and _is_complete(entry, searched)]
    if not known:
        return np.full(len(searched), 0.5)
    best = min(known, key=lambda entry: (_loss(entry) or 0.0, entry.number))
    return np.array([dimension.to_unit(best.assignment[dimension.name]) for dimension in searched])


def _is_complete(entry: Entry, searched: tuple[Dimension, ...]) -> bool:
    return all(dimension.name in entry.assignment for dimension in searched)


def _loss(entry: Entry) -> float | None:
    """The loss that counts; None for what failed, is pending, or gave no finite number."""
    if entry.outcome not in (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED) or entry.loss is None:
        return None
    return entry.loss if math.isfinite(entry.loss) else None


def _learn(search: CmaSearch, history: History, rng: np.random.Generator) -> None:
    results: list[Result] = []
    awaited = {str(number): number for number in search.state.points}
    # What is awaited is among the newest, so most of a long history need not be looked at.
    for entry in reversed(history.entries):
        if not awaited:
            break
        number = awaited.pop(entry.labels.get(POINT_LABEL, ""), None)
        if number is None or entry.outcome.is_pending:
            continue
        if entry.outcome is Outcome.KILLED:
            search.drop(number)
        else:
            results.append(Result(number, _loss(entry)))
    search.learn(results, rng)


def _fresh(
    problem: Problem,
    search: CmaSearch,
    searched: tuple[Dimension, ...],
    seen: set[tuple[Value, ...]],
    rng: np.random.Generator,
) -> tuple[Vector, dict[str, Value], bool] | None:
    """An assignment that was not proposed before, its draw, and whether that is not the search's own."""
    space = problem.space
    drawn: dict[str, Value] = {}
    for _ in range(_PATIENCE):
        draw, units = search.draw()
        drawn = _assignment(space, searched, units, rng)
        if space.key(drawn) not in seen:
            return draw, drawn, False
    candidates: Iterator[dict[str, Value]] = nearby(space, drawn, rng)
    if space.cardinality is not None:
        candidates = chain(candidates, walk(space, seed=problem.seed, start=0))
    for assignment in candidates:
        if space.key(assignment) not in seen:
            units = [dimension.to_unit(assignment[dimension.name]) for dimension in searched]
            return search.placed(units), assignment, True
    return None


def _assignment(
    space: Space, searched: tuple[Dimension, ...], units: list[float], rng: np.random.Generator
) -> dict[str, Value]:
    found = {dimension.name: unit for dimension, unit in zip(searched, units, strict=True)}
    return {
        dimension.name: dimension.from_unit(
            found[dimension.name] if dimension.name in found else float(rng.random())
        )
        for dimension in space
    }
