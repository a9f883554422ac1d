"""An Experiment as the problem that an algorithm is asked to solve."""

from __future__ import annotations

from katibpy.algo.problem import Problem
from katibpy.algo.randomness import seed_of
from katibpy.algo.space import Space, space_of
from katibpy.api.experiment import Experiment, Objective
from katibpy.errors import InvalidSettings


def problem_of(experiment: Experiment) -> Problem:
    """The problem that the Experiment poses.

    The seed is `spec.seed`; without one it follows from the uid, or the name where there is no uid, so
    that a repeated call draws what the first one drew.

    Raises:
        InvalidSettings: the parameters make no search space, or the seed is negative. Controllers
            validate Experiments before; foreign ones may validate less.
    """
    spec = experiment.spec
    metadata = experiment.metadata
    objective = spec.objective or Objective()
    algorithm = spec.algorithm
    problems: list[str] = []
    if spec.seed is not None and spec.seed < 0:
        problems.append(f"spec.seed must be at least 0, got {spec.seed}")
    space = Space()
    try:
        space = space_of(spec.parameters)
    except (ValueError, ArithmeticError) as error:
        problems.append(f"the parameters make no search space: {error}")
    problems += [
        f"parameter {dimension.name} has no value to choose from"
        for dimension in space
        if dimension.cardinality is not None and dimension.cardinality < 1
    ]
    if len(space.by_name) < len(space):
        problems.append("the parameters must have different names, got " + ", ".join(d.name for d in space))
    if problems:
        raise InvalidSettings(problems)
    return Problem(
        name=metadata.name,
        uid=metadata.uid or "",
        space=space,
        settings={s.name: s.value for s in algorithm.algorithm_settings} if algorithm else {},
        seed=seed_of(metadata.uid or metadata.name) if spec.seed is None else spec.seed,
        parallel_trial_count=spec.parallel_trial_count or 1,
        max_trial_count=spec.max_trial_count,
        metric_names=(objective.objective_metric_name, *objective.additional_metric_names),
        nas=spec.nas_config,
        experiment=experiment,
    )
