"""Quasi-random search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reads, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.settings import setting
from katibpy.algo.space import Value
from suggestion_services.finite import is_new, seen_keys, walk

_SEEDS = 1 << 63
_FEW = 4
_LONGEST = 18
_PATIENCE = 1024
"""Points in a row that may all repeat what was proposed before one stops counting on the sequence."""


@dataclass(frozen=True, slots=True)
class SobolSettings:
    """Settings of quasi-random search."""

    random_state: int | None = setting(
        None, minimum=0, help="seed of the scrambling; the Experiment's own when not given"
    )


class SobolSearch(Algorithm):
    """Points of a scrambled Sobol sequence (Sobol, 1967; Joe and Kuo, 2008; Owen, 1998), one after another.

    A point's coordinates are unit coordinates of the parameters, so each keeps its distribution, whole
    numbers and choices have equal parts, and both bounds are reached. Proposal number i is point number i.
    In a finite space, points that fall on what was proposed before are passed over, and how far that has led
    is remembered.
    """

    name = "sobol"
    summary = "low-discrepancy points: covers the space more evenly than random draws"
    Settings = SobolSettings

    def reads(self, problem: Problem) -> Reads:
        """Everything in a finite space, to repeat nothing; else nothing."""
        return Reads.NOTHING if problem.space.cardinality is None else Reads.ALL

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Points number `history.total` and following, as far as they are new."""
        space, size = problem.space, problem.space.cardinality
        if size is None:
            points = sobol_points(problem, first=history.total)
            texts = [space.format_assignment(each) for each in islice(points, count)]
            return Reply(tuple(Proposal(text) for text in texts))
        # Of a long history, to look for a few points takes a fraction of the time that listing all takes.
        is_listed = count > _FEW or len(history) + count >= size
        seen = seen_keys(space, history) if is_listed else set()
        first = position = max(history.total, _position(memory))
        found: list[dict[str, Value]] = []
        points = sobol_points(problem, first=first)
        candidates = chain(islice(points, _PATIENCE), walk(space, seed=problem.seed, start=0))
        for place, candidate in enumerate(candidates, start=first + 1):
            if len(found) == count or len(seen) >= size:
                break
            position = min(place, first + _PATIENCE)
            if space.key(candidate) in seen or not (is_listed or is_new(space, history, candidate)):
                continue
            seen.add(tuple(candidate.values()))
            found.append(candidate)
        return Reply(
            tuple(Proposal(space.format_assignment(each)) for each in found),
            memory=str(position).encode(),
            exhausted=len(seen) >= size,
        )


def _position(memory: bytes | None) -> int:
    """Number of the next point, as remembered; 0 when there is nothing to be read."""
    text = (memory or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) < _LONGEST else 0


def sobol_points(problem: Problem, *, first: int) -> Iterator[dict[str, Value]]:
    """Assignments at the points from number `first` on of the sequence that belongs to the problem's seed."""
    # Most of a second to import, which only those who use it should wait for.
    from scipy.stats import qmc

    if not len(problem.space):
        return
    scrambling = int(generator(problem.seed, 0).integers(_SEEDS))
    sequence = qmc.Sobol(len(problem.space), scramble=True, seed=scrambling)
    if first:
        sequence.fast_forward(first)
    while True:
        # One at a time: several at once from the start of the sequence raise a warning about balance.
        yield problem.space.from_unit_cube(sequence.random(1)[0].tolist())
