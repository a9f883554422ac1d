"""Gaussian-process optimisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings, setting
from katibpy.algo.space import CategoricalDimension, Space, Value
from katibpy.errors import MissingExtra
from suggestion_services.finite import nearby, seen_keys, walk
from suggestion_services.gp_results import Results
from suggestion_services.sobol import sobol_points

if TYPE_CHECKING:
    from suggestion_services.gp_fits import FitCache

_MISSING = "algorithm gp needs PyTorch, which is not installed; run: pip install 'katibpy[gp]'"
_MOST_LISTED = 2048
_PATIENCE = 64


@dataclass(frozen=True, slots=True)
class GpSettings:
    """Settings of Gaussian-process optimisation."""

    n_startup_trials: int = setting(
        0, minimum=0, help="finished trials before the model is used; 0: two more than parameters, at most 10"
    )
    n_candidates: int = setting(
        512, minimum=16, maximum=16384, help="points looked at for each proposal, up to the next power of 2"
    )
    n_local_search: int = setting(4, minimum=0, maximum=50, help="of the best of them, so many are improved")
    n_results: int = setting(
        200, minimum=20, maximum=2000, help="the model sees so many results: the best half and the newest"
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class Gp(Algorithm):
    """Gaussian-process optimisation (Mockus, 1975; Jones et al., 1998), by Optuna's process.

    A Matern kernel with one length scale for each parameter, Hamming distance between choices and a
    fitted noise level; the proposal maximises the logarithm of expected improvement (Ament et al., 2023).
    Pending trials, and the earlier proposals of a batch, are averaged over (Wilson et al., 2018). It starts
    with the centre and Sobol points. By turns the model sees the losses as they are, and with the worse half
    compressed; failed trials count as the worst. Where hardly any improvement is to be expected it looks
    away from what is known. After `n_results` trials it keeps the best and the newest, so a request takes
    as long with 10,000 trials as with 200. No assignment is proposed twice.
    """

    name = "gp"
    summary = "the fewest trials for up to 20 parameters and some hundred trials; needs the extra gp"
    Settings = GpSettings
    learns = True
    example_settings = {"n_candidates": "16", "n_local_search": "0"}  # noqa: RUF012 - never written to

    def __init__(self) -> None:
        self._cache: FitCache | None = None

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """PyTorch has to be there."""
        return () if is_available() else (_MISSING,)

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
        space, size = problem.space, problem.space.cardinality
        settings = parse_settings(GpSettings, problem.settings)
        seen = seen_keys(space, history)
        results = Results.of(space, history)
        startup = settings.n_startup_trials or usual_startup(space)
        if len(results.losses) < startup or not results.has_usable or size == 1:
            found = _new_ones(problem, design(problem, first=history.total), seen, count=count, rng=rng)
        else:
            found = self._recommended(problem, settings, results, seen, count=count, rng=rng)
        return Reply(
            tuple(Proposal(space.format_assignment(assignment)) for assignment in found),
            exhausted=size is not None and len(seen) >= size,
        )

    def _recommended(
        self,
        problem: Problem,
        settings: GpSettings,
        results: Results,
        seen: set[tuple[Value, ...]],
        *,
        count: int,
        rng: np.random.Generator,
    ) -> list[dict[str, Value]]:
        try:
            # PyTorch takes seconds to import, and whoever has it not shall be told how to get it.
            from suggestion_services.gp_fits import FitCache
            from suggestion_services.gp_threads import one_thread
        except ImportError as error:
            raise MissingExtra(f"{_MISSING} ({error})") from error
        cache = self._cache = self._cache or FitCache()
        space, size = problem.space, problem.space.cardinality
        told = results.telling(settings.n_results)
        candidates = 1 << (settings.n_candidates - 1).bit_length()
        pending = list(told.pending)
        found: list[dict[str, Value]] = []
        with one_thread():
            model = cache.model(problem, told)
            while len(found) < count and (size is None or len(seen) < size):
                stop_if_cancelled()
                if size is not None and size <= _MOST_LISTED:
                    left = [each for each in map(space.at, range(size)) if space.key(each) not in seen]
                    ranked = model.best_of(left, pending, rng)
                else:
                    ranked = model.ranked(pending, rng, candidates=candidates, climbs=settings.n_local_search)
                fresh = _new_ones(problem, ranked, seen, count=1, rng=rng)
                if not fresh:
                    break
                found += fresh
                pending += fresh
        return found


def is_available() -> bool:
    """Whether what the model needs is installed."""
    return find_spec("torch") is not None


def usual_startup(space: Space) -> int:
    """How many results the first model is fitted to when the user does not say."""
    return min(sum(dimension.cardinality != 1 for dimension in space) + 2, 10)


def design(problem: Problem, *, first: int) -> Iterator[dict[str, Value]]:
    """Where to look before there is a model: the centre, then Sobol points; from number `first` on."""
    points = sobol_points(problem, first=first)
    if first == 0:
        for point in islice(points, 1):
            yield {
                dimension.name: point[dimension.name]
                if isinstance(dimension, CategoricalDimension)
                else dimension.from_unit(0.5)
                for dimension in problem.space
            }
    yield from points


def _new_ones(
    problem: Problem,
    ranked: Iterator[dict[str, Value]],
    seen: set[tuple[Value, ...]],
    *,
    count: int,
    rng: np.random.Generator,
) -> list[dict[str, Value]]:
    """The first `count` that are not in `seen`, which they join.

    Where all that is recommended is known, a neighbour of the best takes its place, and when those are all
    known too, whatever is left.
    """
    space = problem.space
    found: list[dict[str, Value]] = []
    best: dict[str, Value] | None = None
    candidates = islice(ranked, count + _PATIENCE)
    while len(found) < count and (space.cardinality is None or len(seen) < space.cardinality):
        fresh: dict[str, Value] | None = None
        for assignment in candidates:
            best = best or assignment
            if space.key(assignment) not in seen:
                fresh = assignment
                break
        else:
            others = nearby(space, best or next(design(problem, first=0)), rng)
            if space.cardinality is not None:
                others = chain(others, walk(space, seed=problem.seed, start=0))
            fresh = next((each for each in others if space.key(each) not in seen), None)
        if fresh is None:
            break
        seen.add(tuple(fresh.values()))
        found.append(fresh)
    return found
