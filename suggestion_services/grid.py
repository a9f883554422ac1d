"""Grid search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reads, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import setting


@dataclass(frozen=True, slots=True)
class GridSettings:
    """Settings of grid search."""

    random_state: int | None = setting(
        None, minimum=0, help="accepted as in Katib; the order has no chance in it"
    )


class GridSearch(Algorithm):
    """Every combination once, in the order of an odometer: the first parameter turns slowest.

    Proposal number i is combination number i, written in the mixed radix of the parameters' counts, so any
    grid takes no more memory than its parameters, and nothing is read but how many proposals were made.
    Numbers ascend; categorical choices come in the user's order.
    """

    name = "grid"
    summary = "every combination in order; doubles need a step"
    Settings = GridSettings

    def reads(self, problem: Problem) -> Reads:
        """Nothing."""
        return Reads.NOTHING

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """Every parameter must have countable values."""
        return tuple(
            f"parameter {dimension.name} must have a step for algorithm grid: a double without one has "
            "endlessly many values; add feasibleSpace.step"
            for dimension in problem.space
            if dimension.cardinality is None
        )

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Combinations number `history.total` and following."""
        size = problem.space.cardinality or 0
        end = min(history.total + count, size)
        chosen = (problem.space.at(index) for index in range(history.total, end))
        proposals = tuple(Proposal(problem.space.format_assignment(assignment)) for assignment in chosen)
        return Reply(proposals, exhausted=end >= size)
