"""Hyperband."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import REQUIRED, parse_settings, setting
from katibpy.algo.space import Value
from katibpy.api.experiment import FeasibleSpace, ParameterSpec
from suggestion_services.brackets import Bracket, describe, hyperband_brackets, sizes_from
from suggestion_services.new_configurations import Configurations, RandomConfigurations
from suggestion_services.rung_places import Place, Run, Rungs, is_pending, ranked
from suggestion_services.rung_resource import Resource, no_smallest, resource_problems, without

EXAMPLE_RESOURCE = ParameterSpec(
    name="epochs", parameter_type="int", feasible_space=FeasibleSpace(min="1", max="27")
)
"""What those who try an algorithm with a resource may add to a space."""


@dataclass(frozen=True, slots=True)
class HyperbandSettings:
    """By Katib's names; `r_min` is new, and `r_l` need not be given."""

    resource_name: str = setting(REQUIRED, help="the parameter that says how much a trial may spend")
    r_l: float | None = setting(
        None, above=0, help="most that a trial gets of the resource; None: the parameter's largest value"
    )
    eta: float = setting(3.0, minimum=2, help="of each rung the best 1/eta go on, with eta times as much")
    r_min: float | None = setting(
        None,
        above=0,
        help="least that a trial gets; None: 1, or the parameter's smallest value where that is more or r_l "
        "is at most 1",
    )
    suggestion_trial_dir: str = setting(
        "", help="where a trial sees its checkpoints: a promoted one begins with a copy of its parent's"
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class Hyperband(Algorithm):
    """Hyperband: successive halving with several trade-offs (Li et al., 2018).

    A bracket starts many random configurations with little of the resource, and gives eta times as much to
    the best 1/eta of them, again and again, until the last have all of it; each bracket of a round
    starts fewer configurations with more. With R the most and r the least that a trial gets, bracket
    s = s_max ... 0, where s_max = floor(log_eta(R / r)), starts n = ceil((s_max + 1) / (s + 1) * eta**s) and
    runs floor(n / eta**i) with R / eta**(s - i) in rung i = 0 ... s. With R = 9, r = 1 and eta = 3 that is
    9, 3, 1 trials with 1, 3, 9; 5, 1 with 3, 9; and 3 with 9. Each amount becomes the nearest that the
    parameter has; a rung that would thereby repeat the one before falls away.

    A rung is decided when all its trials have ended. Failed and killed ones, and losses that are missing, NaN
    or infinite, count as the worst and are never promoted. While a bracket waits, the next ones
    begin, as long as `maxTrialCount` leaves enough for those before; when nothing may begin, a reply has
    fewer proposals than were asked for. Without `maxTrialCount` the search ends after one round; with it,
    rounds with new configurations follow until it is reached. A finite space ends it too: no configuration
    is started twice.

    A promoted configuration is a new Trial whose label `katib.kubeflow.org/checkpoint-from` names the one
    that it goes on from. All that must be remembered stands in the labels of the Trials.
    """

    name = "hyperband"
    summary = "many short trials, and long ones for the best; for training that shows early what is good"
    Settings: ClassVar[type[Any]] = HyperbandSettings
    learns = True
    example_settings = {"resource_name": EXAMPLE_RESOURCE.name}  # noqa: RUF012 - never written to
    example_parameters = (EXAMPLE_RESOURCE,)

    def configurations(self, problem: Problem, history: History, resource: Resource) -> Configurations:
        """Where configurations come from."""
        return RandomConfigurations(without(problem.space, resource.name), history, seed=problem.seed)

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """The resource must be a number among at least two parameters."""
        settings = parse_settings(self.Settings, problem.settings)
        problems = resource_problems(problem, settings.resource_name)
        return problems or _amount_problems(settings, Resource(problem.space[settings.resource_name]))

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Promotes what may be promoted, and starts what may be started."""
        settings = parse_settings(self.Settings, problem.settings)
        resource = Resource(problem.space[settings.resource_name])
        smallest, largest = _amounts(settings, resource)
        brackets = hyperband_brackets(resource, smallest=smallest, largest=largest, eta=settings.eta)
        configurations = self.configurations(problem, history, resource)
        request = _Request(problem, history, resource, brackets, configurations, count)
        note = describe(brackets, resource, limit=problem.max_trial_count)
        return Reply(tuple(request.proposals), exhausted=request.is_over, note=note)


class _Request:
    """The answer to one request, put together bracket by bracket.

    Attributes:
        proposals: what is proposed.
        is_over: whether nothing will ever follow.
    """

    def __init__(
        self,
        problem: Problem,
        history: History,
        resource: Resource,
        brackets: tuple[Bracket, ...],
        configurations: Configurations,
        count: int,
    ) -> None:
        self.proposals: list[Proposal] = []
        self._problem = problem
        self._resource = resource
        self._first = history.total
        self._rungs = Rungs(history)
        self._configurations = configurations
        self._count = count
        limit = problem.max_trial_count
        # Deleted trials do not count towards the limit, so what is wanted may be more than it leaves.
        self._budget = None if limit is None else max(limit - len(history), count)
        self._reserved = 0
        number = 0
        while number < self._rungs.brackets or (self._room > 0 and self._may_open(brackets, number)):
            self._reserved += self._advance(number, brackets[number % len(brackets)])
            number += 1
        self.is_over = self._reserved == 0 and not self._may_open(brackets, number)

    @property
    def _room(self) -> int:
        """How many may still be proposed, without what earlier brackets will come to want."""
        made = len(self.proposals)
        free = self._count - made
        return free if self._budget is None else min(free, self._budget - made - self._reserved)

    def _may_open(self, brackets: tuple[Bracket, ...], number: int) -> bool:
        in_a_round = self._budget is not None or number < len(brackets)
        return in_a_round and not self._configurations.has_ended

    def _advance(self, number: int, bracket: Bracket) -> int:
        """Proposes what the bracket is ready for; gives how many trials it will want later, at most."""
        runs = self._rungs.of(number, 0)
        new = self._start(number, bracket, bracket[0].size - len(runs))
        sizes = sizes_from(bracket, len(runs) + new)
        if len(runs) + new < bracket[0].size and not self._configurations.has_ended:
            return sum(rung.size for rung in bracket) - len(runs) - new
        for place in range(1, len(bracket)):
            if new or is_pending(runs):
                return sum(sizes[place:])
            below, runs = runs, self._rungs.of(number, place)
            # Of the many brackets of a long search most are over, and need not be ranked again.
            best = ranked(below, self._problem.space) if len(runs) < sizes[place] else []
            missing = max(min(sizes[place], len(best)) - len(runs), 0)
            new = self._promote(best, runs, Place(number, place, 0), bracket[place].amount, missing)
            if new < missing:
                return missing - new + sum(sizes[place + 1 :])
        return 0

    def _start(self, bracket_number: int, bracket: Bracket, missing: int) -> int:
        started = 0
        while started < missing and self._room > 0 and not self._configurations.has_ended:
            number = self._first + len(self.proposals)
            configuration = self._configurations.take(number)
            self._add(configuration, bracket[0].amount, Place(bracket_number, 0, number).labels())
            started += 1
        return started

    def _promote(
        self, best: list[Run], promoted: Sequence[Run], to: Place, amount: Value, missing: int
    ) -> int:
        known = {run.configuration for run in promoted}
        waiting = [run for run in best if run.configuration not in known][: min(missing, self._room)]
        for run in waiting:
            place = dataclasses.replace(to, configuration=run.configuration)
            self._add(run.entry.assignment, amount, place.labels(parent=run.entry))
        return len(waiting)

    def _add(self, configuration: Mapping[str, Value], amount: Value, labels: dict[str, str]) -> None:
        assignment = {**configuration, self._resource.name: amount}
        self.proposals.append(Proposal(self._problem.space.format_assignment(assignment), labels=labels))


def _amount_problems(settings: HyperbandSettings, resource: Resource) -> tuple[str, ...]:
    largest = settings.r_l or resource.largest
    if settings.r_min is not None and settings.r_min > largest:
        return (f"setting r_min must be at most r_l ({largest:g}), got {settings.r_min:g}",)
    if settings.r_min is None and largest <= 1 and resource.smallest is None:
        return (no_smallest(resource),)
    return ()


def _amounts(settings: HyperbandSettings, resource: Resource) -> tuple[float, float]:
    """The least and the most that a trial gets."""
    largest = settings.r_l or resource.largest
    if settings.r_min is not None:
        return settings.r_min, largest
    smallest = resource.smallest or 1.0
    return (max(smallest, 1.0) if largest > 1 else smallest), largest
