"""What follows on a run of CMA-ES that has converged."""

from __future__ import annotations

import dataclasses
import math
from enum import StrEnum

import numpy as np

from suggestion_services.cma_state import Run


class Restarts(StrEnum):
    """How populations follow each other.

    IPOP (Auger and Hansen, 2005): each run has twice the population of the one before it. BIPOP (Hansen,
    2009): such runs take turns with runs of small populations and small first steps, so that both kinds
    get about as many evaluations.
    """

    IPOP = "ipop"
    BIPOP = "bipop"


def usual_population(dimensions: int) -> int:
    """The population that Hansen's tutorial (2016, equation 48) recommends."""
    return 4 + math.floor(3 * math.log(dimensions))


def next_run(
    ended: Run, restarts: Restarts, *, dimensions: int, sigma: float, rng: np.random.Generator
) -> tuple[Run, int, float]:
    """The run after one that converged, its population and its first step size.

    Args:
        ended: the run that converged.
        restarts: how populations follow each other.
        dimensions: of the search.
        sigma: first step size that the user asked for.
        rng: decides the size of a small population.
    """
    usual = usual_population(dimensions)
    large, small = ended.large_evaluations, ended.small_evaluations
    if ended.is_small:
        small += ended.evaluations
    elif ended.doublings:
        large += ended.evaluations
    following = dataclasses.replace(
        ended,
        number=ended.number + 1,
        evaluations=0,
        large_evaluations=large,
        small_evaluations=small,
        is_small=restarts is Restarts.BIPOP and small < large,
    )
    if following.is_small:
        size_draw, step_draw = rng.random(2)
        largest = usual << ended.doublings
        population = math.floor(usual * (0.5 * largest / usual) ** (size_draw**2))
        return following, max(population, 2), sigma * 10.0 ** (-2.0 * step_draw)
    following = dataclasses.replace(following, doublings=ended.doublings + 1)
    return following, usual << following.doublings, sigma
