"""The promise of an algorithm that learns: it finds better values than random search at the same cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from statistics import fmean

from katibpy.algo.law import below_one
from katibpy.algo.randomness import generator
from katibpy.algo.space import Space, Value, space_of
from katibpy.api.experiment import Experiment, ParameterSpec, ParameterType
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.testing.algorithm_cases import (
    MIXED,
    Objectives,
    Run,
    experiment,
    parameter,
    smooth,
    steps,
    taken_of,
)
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Subject

_TRIALS = 40
_UNTRAINED = 0.05
"""What a trial's loss is too high by when it was given nothing of what it could cost."""
_SEEDS = 6
_CHEAP_TRIALS = 6 * _TRIALS
_CHEAP_SEEDS = 3 * _SEEDS
_CHEAP_BATCH = 16
_RANDOM_SEEDS = 40
_WIN_SHARE = 0.65
"""Share of all pairs of runs in which the algorithm's best must beat random search's: 0.5 is no better."""


def finds_better_than_random_search(subject: Subject) -> None:
    """An algorithm that learns finds better values than random search at the same cost on easy landscapes."""
    if not subject.learns:
        raise NotApplicableError("it does not learn")
    races = list(_races(subject))
    if not races:
        raise NotApplicableError("it refuses all landscapes")
    # The best of a run only ever gets better, so the verdict is certain, the same as at the end of all runs,
    # as soon as they have won enough. They go on side by side, because the first trials win the most.
    going = list(races)
    while going:
        going = [race for race in going if race.goes_on()]
        if sum(race.won for race in races) >= _WIN_SHARE * len(races):
            return
    shares = {name: fmean(race.won for race in races if race.name == name) for name in _names(races)}
    raise BrokenPromiseError(
        f"best of what {_TRIALS} trials cost: it beats random search in these shares of "
        f"pairs: {shares}; expected {_WIN_SHARE} on average"
    )


def _names(races: Sequence[_Race]) -> Sequence[str]:
    return tuple(dict.fromkeys(race.name for race in races))


def _races(subject: Subject) -> Iterator[_Race]:
    for name in _LANDSCAPES:
        parameters, _ = _LANDSCAPES[name]
        try:
            taken_of(subject, (parameters,))
        except NotApplicableError:
            continue
        for seed in range(_CHEAP_SEEDS if subject.parameters else _SEEDS):
            posed = experiment(subject, parameters, seed=seed, uid=f"seed-{seed}")
            # Runs of one uid go on side by side: none may find what another left behind.
            yield _Race(subject.restarted(), posed, name)


class _Race:
    """One run of the algorithm against all of random search's, of what `_TRIALS` whole trials cost.

    The parameters that the algorithm cannot do without are its resource: a trial costs the part that it is
    given of their largest values, and its loss is the higher the smaller that part. There may be more trials
    that cost less.

    Attributes:
        name: of the landscape.
        won: share of random search's runs whose best is worse than the best so far.
    """

    def __init__(self, subject: Subject, posed: Experiment, name: str) -> None:
        self.name = name
        self.won = 0.0
        self._landscape = _LANDSCAPES[name][1]
        self._resources = space_of(subject.parameters)
        self._space = space_of(posed.spec.parameters)
        self._best = math.inf
        self._cost = 0.0
        self._looked_at = 0
        has_parts = self._has_parts = len(self._resources) > 0
        self._steps = steps(
            subject,
            posed,
            trials=_CHEAP_TRIALS if has_parts else _TRIALS,
            batch=_CHEAP_BATCH if has_parts else 1,
            objective=self._loss,
        )

    def goes_on(self) -> bool:
        """Asks once more and looks at what came; False when nothing that may come counts.

        Raises:
            NotApplicableError: trials begin with what others left, though none costs less than another.
        """
        run = next(self._steps, None)
        if run is None:
            return False
        self._look_at(run)
        return self.won < 1.0 and self._cost < _TRIALS

    def _look_at(self, run: Run) -> None:
        for line, loss in zip(run.lines[self._looked_at :], run.losses[self._looked_at :], strict=True):
            if CHECKPOINT_FROM_LABEL in line.labels and not self._has_parts:
                raise NotApplicableError(
                    "its trials train on what others left, which such a landscape does not show"
                )
            self._cost += self._share(self._space.parse_assignment(line.assignment))
            if self._cost <= _TRIALS:
                self._best = min(self._best, loss)
        self._looked_at = len(run.lines)
        drawn = _drawn(self.name)
        self.won = sum(self._best < other for other in drawn) / len(drawn)

    def _share(self, assignment: Mapping[str, Value]) -> float:
        highest = {each.name: each.from_unit(below_one(1.0)) for each in self._resources}
        return math.prod(float(assignment[name]) / float(most) for name, most in highest.items())

    def _loss(self, assignment: Mapping[str, Value]) -> float:
        return self._landscape(assignment) + _UNTRAINED * (1 - self._share(assignment))


@cache
def _drawn(name: str) -> Sequence[float]:
    """The best of each of random search's runs on the landscape of that name."""
    parameters, landscape = _LANDSCAPES[name]
    space: Space = space_of(parameters)
    return tuple(
        min(
            landscape(space.from_unit_cube(point.tolist()))
            for point in generator(seed, 1).random((_TRIALS, len(space)))
        )
        for seed in range(_RANDOM_SEEDS)
    )


def _landscapes() -> Mapping[str, tuple[Sequence[ParameterSpec], Objectives]]:
    names = tuple("abcde")
    bowl = tuple(parameter(name, ParameterType.DOUBLE, min="0", max="1") for name in names)
    whole = tuple(parameter(name, ParameterType.INT, min="0", max="20") for name in names[:4])

    def training(assignment: Mapping[str, Value]) -> float:
        rate = math.log10(float(assignment["rate"]))
        penalty = {"relu": 0.0, "tanh": 0.4, "gelu": 0.2}[str(assignment["activation"])]
        width = abs(math.log2(float(assignment["width"])) - 6)
        return (rate + 2) ** 2 + 3 * abs(float(assignment["momentum"]) - 0.6) + penalty + 0.2 * width

    return {
        "bowl": (bowl, smooth(space_of(bowl))),
        "steps": (whole, smooth(space_of(whole))),
        "training": (MIXED, training),
    }


_LANDSCAPES = _landscapes()
