"""Asynchronous successive halving."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.settings import REQUIRED, parse_settings, setting
from katibpy.algo.space import Space, Value
from suggestion_services.brackets import Bracket, hyperband_brackets
from suggestion_services.hyperband import EXAMPLE_RESOURCE
from suggestion_services.new_configurations import RandomConfigurations
from suggestion_services.rung_places import Place, Run, Rungs, is_pending, ranked
from suggestion_services.rung_resource import Resource, no_smallest, resource_problems, times_larger, without

_UNKNOWN = (Outcome.PROPOSED, Outcome.ACTIVE, Outcome.KILLED)
"""Without a result that tells anything about the configuration."""


@dataclass(frozen=True, slots=True)
class AshaSettings:
    """Settings of asynchronous successive halving."""

    resource_name: str = setting(REQUIRED, help="the parameter that says how much a trial may spend")
    r_min: float | None = setting(
        None, above=0, help="least that a trial gets of the resource; None: the parameter's smallest value"
    )
    r_max: float | None = setting(
        None, above=0, help="most that a trial gets; None: the parameter's largest value"
    )
    eta: float = setting(3.0, minimum=2, help="of each rung the best 1/eta go on, with eta times as much")
    brackets: int = setting(
        1, minimum=1, help="in how many ways to start: bracket s begins with eta**s times r_min"
    )
    suggestion_trial_dir: str = setting(
        "", help="where a trial sees its checkpoints: a promoted one begins with a copy of its parent's"
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class Asha(Algorithm):
    """Asynchronous successive halving with promotion (Li et al., 2020, algorithm 2).

    New configurations start with little of the resource. As soon as eta trials of a rung have ended the best
    1/eta of them go on with eta times as much, without waiting for the rest, so workers are never idle. The
    amounts are r_max, r_max / eta, r_max / eta**2 ... as long as they are at least r_min. Failed trials,
    and losses that are missing, NaN or infinite, count as the worst and are never promoted; killed ones do
    not count.

    With several brackets (asynchronous Hyperband, the same paper) each new configuration goes to the bracket
    that lags most behind its share, which is that of Hyperband.

    A promoted configuration is a new Trial whose label `katib.kubeflow.org/checkpoint-from` names the one
    that it goes on from. All that must be remembered stands in the labels of the Trials. Only a finite space
    ends the search: no configuration is started twice, and in the end the best goes on to the top.
    """

    name = "asha"
    summary = "short trials, of which the best go on at once; for many workers and training that goes on"
    Settings = AshaSettings
    learns = True
    example_settings = {"resource_name": EXAMPLE_RESOURCE.name}  # noqa: RUF012 - never written to
    example_parameters = (EXAMPLE_RESOURCE,)

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """The resource must be a number among at least two parameters, and no bracket may be empty."""
        settings = parse_settings(AshaSettings, problem.settings)
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
        """Promotes what may be promoted, from the highest rung down, and fills up with new configurations."""
        settings = parse_settings(AshaSettings, problem.settings)
        resource = Resource(problem.space[settings.resource_name])
        brackets = _brackets(resource, settings)
        ladders = _Ladders(Rungs(history), brackets, settings.eta, problem.space)
        proposals: list[Proposal] = []

        def add(configuration: Mapping[str, Value], place: Place, parent: Entry | None = None) -> None:
            amount = brackets[place.bracket][place.rung].amount
            texts = problem.space.format_assignment({**configuration, resource.name: amount})
            proposals.append(Proposal(texts, labels=place.labels(parent=parent)))

        for run, place in islice(ladders.promotions(), count):
            add(run.entry.assignment, place, run.entry)
        new = RandomConfigurations(without(problem.space, resource.name), history, seed=problem.seed)
        while len(proposals) < count and not new.has_ended:
            number = history.total + len(proposals)
            add(new.take(number), Place(ladders.lagging(), 0, number))
        if proposals or not new.has_ended or ladders.are_waiting:
            return Reply(tuple(proposals))
        for run, place in islice(ladders.last_promotions(), count):
            add(run.entry.assignment, place, run.entry)
        return Reply(tuple(proposals), exhausted=not proposals)


class _Ladders:
    """The rungs of all brackets, as one request finds them."""

    def __init__(self, rungs: Rungs, brackets: tuple[Bracket, ...], eta: float, space: Space) -> None:
        self._rungs = rungs
        self._brackets = brackets
        self._eta = eta
        self._space = space
        self._started = [len(rungs.of(number, 0)) for number in range(len(brackets))]

    @property
    def are_waiting(self) -> bool:
        """Whether a result may come from which a promotion follows."""
        return any(is_pending(self._rungs.of(*below)) for below in self._steps())

    def promotions(self) -> Iterator[tuple[Run, Place]]:
        """Who may go on, and where to; those that have come furthest first."""
        for bracket, rung in self._steps():
            ended = [run for run in self._rungs.of(bracket, rung) if run.entry.outcome not in _UNKNOWN]
            best = ranked(ended, self._space)[: math.floor(len(ended) / self._eta)]
            promoted = {run.configuration for run in self._rungs.of(bracket, rung + 1)}
            for run in best:
                if run.configuration not in promoted:
                    yield run, Place(bracket, rung + 1, run.configuration)

    def last_promotions(self) -> Iterator[tuple[Run, Place]]:
        """When nothing else is left: the best of each bracket's highest rung so far, on its way up."""
        for bracket, rung in self._steps():
            if not self._rungs.of(bracket, rung + 1):
                for run in ranked(self._rungs.of(bracket, rung), self._space)[:1]:
                    yield run, Place(bracket, rung + 1, run.configuration)

    def lagging(self) -> int:
        """The bracket that lags most behind its share; a new configuration is taken to go there."""
        sizes = [bracket[0].size for bracket in self._brackets]
        lagging = min(range(len(sizes)), key=lambda number: (self._started[number] + 1) / sizes[number])
        self._started[lagging] += 1
        return lagging

    def _steps(self) -> list[tuple[int, int]]:
        """Bracket and rung of all rungs that have one above, those with the most of the resource first."""
        steps = [
            (float(rung.amount), number, place)
            for number, bracket in enumerate(self._brackets)
            for place, rung in enumerate(bracket[:-1])
        ]
        return [(number, place) for _, number, place in sorted(steps, key=lambda step: (-step[0], step[1]))]


def _brackets(resource: Resource, settings: AshaSettings) -> tuple[Bracket, ...]:
    """The brackets in use, of which one rung's amount is eta times that of the one below."""
    smallest, largest = settings.r_min or resource.smallest or 1.0, settings.r_max or resource.largest
    every = hyperband_brackets(resource, smallest=smallest, largest=largest, eta=settings.eta)
    return every[: settings.brackets]


def _amount_problems(settings: AshaSettings, resource: Resource) -> tuple[str, ...]:
    if settings.r_min is None and resource.smallest is None:
        return (no_smallest(resource),)
    smallest, largest = settings.r_min or resource.smallest or 1.0, settings.r_max or resource.largest
    if smallest > largest:
        return (f"setting r_min must be at most r_max ({largest:g}), got {smallest:g}",)
    most = times_larger(smallest, largest, eta=settings.eta) + 1
    if settings.brackets > most:
        why = f"eta {settings.eta:g} gives so many rungs from r_min ({smallest:g}) to r_max ({largest:g})"
        return (f"setting brackets must be at most {most}, since {why}, got {settings.brackets}",)
    return ()
