"""Which algorithm suits a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from katibpy.algo.problem import Problem
from katibpy.algo.space import DoubleDimension, IntDimension

PICKS: Mapping[str, str] = {
    "bayesianoptimization": "suggestion_services.bayesian_optimization:BayesianOptimization",
    "cmaes": "suggestion_services.cma_es:CmaEs",
    "gp": "suggestion_services.gp:Gp",
    "sobol": "suggestion_services.sobol:SobolSearch",
    "tpe": "suggestion_services.tpe:Tpe",
}
"""What may be picked, and where it is."""

_SMALL_SPACE = 64
_MOST_FOR_PROCESS = 300
_MOST_PARAMETERS = 30
_MOST_AT_ONCE = 32
_FEWEST_FOR_CMA_PER_PARAMETER = 50


@dataclass(frozen=True, slots=True)
class Choice:
    """What was picked.

    Attributes:
        name: the algorithm.
        reason: why, for people; reads on after the name and a colon.
        settings: that it gets; what is not named has its default.
    """

    name: str
    reason: str
    settings: Mapping[str, str] = field(default_factory=dict)


def choose(problem: Problem, *, kept: str | None = None) -> Choice:
    """The algorithm for a problem.

    It follows from the space, the number of trials and how many run at once, and from nothing that changes
    while they run.

    Args:
        problem: what to solve.
        kept: what was picked before; it stays as long as it can be loaded, whatever the limits are now.
    """
    fresh = _choice(problem)
    if kept is None or kept == fresh.name or (kept == "gp" and not _has_torch()):
        return fresh
    return Choice(kept, "picked with the first proposal, and kept", _settings(kept))


def _choice(problem: Problem) -> Choice:
    space, budget = problem.space, problem.max_trial_count
    size = space.cardinality
    varying = [dimension for dimension in space if dimension.cardinality != 1]
    trials = "no limit of trials" if budget is None else f"{budget} trials"
    about = f"{len(varying)} parameter{'s' if len(varying) != 1 else ''} and {trials}"
    if size is not None and size <= _SMALL_SPACE and (budget is None or size <= budget):
        return Choice(
            "sobol", f"all {size} assignments can be tried, so it only matters to spread the first ones"
        )
    is_slow = budget is not None and budget > _MOST_FOR_PROCESS
    if not is_slow and len(varying) <= _MOST_PARAMETERS and problem.parallel_trial_count <= _MOST_AT_ONCE:
        if _has_torch():
            return Choice("gp", f"{about}: a Gaussian process needs the fewest trials")
        return Choice(
            "bayesianoptimization",
            f"{about}: a Gaussian process needs the fewest trials; gp finds better ones yet, "
            "run: pip install 'katibpy[gp]'",
        )
    is_numeric = all(isinstance(each, DoubleDimension | IntDimension) for each in varying)
    if budget is not None and is_numeric and len(varying) >= 2:
        needed = _FEWEST_FOR_CMA_PER_PARAMETER * len(varying)
        if budget >= needed and problem.parallel_trial_count * 20 <= budget:
            return Choice(
                "cmaes", f"{about}, all numbers: enough for an evolution strategy", _settings("cmaes")
            )
    return Choice("tpe", f"{about}, {problem.parallel_trial_count} at once: too many for a Gaussian process")


def _settings(name: str) -> Mapping[str, str]:
    return {"restart_strategy": "bipop"} if name == "cmaes" else {}


def _has_torch() -> bool:
    return find_spec("torch") is not None
