"""What an algorithm is asked to solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from katibpy.api.experiment import Experiment, NasConfig, ObjectiveType

if TYPE_CHECKING:
    # It brings NumPy along, which those who only pass problems on need not load.
    from katibpy.algo.space import Space


@dataclass(frozen=True, slots=True)
class Problem:
    """One Experiment as an algorithm sees it.

    Losses in the history are always minimised: the objective's sign has been turned already.

    Attributes:
        name: the Experiment's name, for messages.
        uid: identifies the Experiment across calls; key of any cache. May be empty when a foreign
            controller does not say; then nothing may be cached.
        space: typed dimensions, in the order of the spec. Empty for NAS Experiments.
        settings: the algorithm's settings as the user wrote them, name to text.
        seed: non-negative; all randomness derives from it.
        parallel_trial_count: how many trials run at once.
        max_trial_count: total number of trials, None when unlimited.
        metric_names: the objective first, then the additional metrics.
        nas: the architecture space of a NAS Experiment, else None.
        experiment: the resource itself, for what is not covered above.
    """

    name: str
    uid: str
    space: Space
    settings: Mapping[str, str]
    seed: int
    parallel_trial_count: int
    max_trial_count: int | None
    metric_names: tuple[str, ...]
    nas: NasConfig | None = None
    experiment: Experiment = field(default_factory=Experiment)


def is_maximized(problem: Problem) -> bool:
    """Whether the objective's sign has to be turned to make a loss of it."""
    objective = problem.experiment.spec.objective
    return objective is not None and objective.type == ObjectiveType.MAXIMIZE
