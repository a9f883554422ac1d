"""Random search."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reads, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.settings import setting
from katibpy.algo.space import Space, Value
from suggestion_services.finite import SMALL, drawn_order, permuted, seen_keys, walk

_PATIENCE = 1000
"""Draws that may all have been seen before one is chosen without regard to the distribution."""


@dataclass(frozen=True, slots=True)
class RandomSettings:
    """Settings of random search."""

    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class RandomSearch(Algorithm):
    """Independent draws from the parameters' distributions (Bergstra and Bengio, 2012).

    Proposal number i depends on the seed and on i alone, so batches may have any size. A finite space is
    drawn from without replacement. Only a finite space that is too large to list, with parameters that are
    not uniform, makes it look at the history: there it draws again what was drawn before.
    """

    name = "random"
    summary = "independent draws; a finite space is never repeated"
    Settings = RandomSettings

    def reads(self, problem: Problem) -> Reads:
        """Nothing, but for large finite spaces that are not uniform."""
        return Reads.ALL if _must_remember(problem.space) else Reads.NOTHING

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Proposals number `history.total` and following."""
        size = problem.space.cardinality
        end = history.total + count if size is None else min(history.total + count, size)
        indices = range(history.total, end)
        if _must_remember(problem.space):
            assignments = _fresh_draws(problem, history, indices)
        else:
            # `rng` is the stream of the first of them, and streams take longer to make than to draw from.
            streams = chain((rng,), (generator(problem.seed, index) for index in indices[1:]))
            assignments = [_number(problem, index, next(streams)) for index in indices]
        texts = [problem.space.format_assignment(assignment) for assignment in assignments]
        return Reply(tuple(Proposal(text) for text in texts), exhausted=size is not None and end >= size)


def _must_remember(space: Space) -> bool:
    return space.cardinality is not None and space.cardinality > SMALL and not space.is_uniform


def _number(problem: Problem, index: int, stream: np.random.Generator) -> dict[str, Value]:
    space = problem.space
    if space.cardinality is None:
        return _draw(space, stream)
    if space.cardinality <= SMALL:
        return space.at(int(drawn_order(space, problem.seed)[index]))
    return space.at(permuted(index, space.cardinality, problem.seed))


def _draw(space: Space, rng: np.random.Generator) -> dict[str, Value]:
    return space.from_unit_cube(rng.random(len(space)).tolist())


def _fresh_draws(problem: Problem, history: History, indices: range) -> list[dict[str, Value]]:
    space = problem.space
    seen = seen_keys(space, history)
    drawn: list[dict[str, Value]] = []
    for index in indices:
        rng = generator(problem.seed, index)
        assignments = chain(
            (_draw(space, rng) for _ in range(_PATIENCE)), walk(space, seed=problem.seed, start=index)
        )
        fresh = next((each for each in assignments if space.key(each) not in seen), None)
        if fresh is None:
            break
        seen.add(tuple(fresh.values()))
        drawn.append(fresh)
    return drawn
