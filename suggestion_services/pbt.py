"""Population based training."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.settings import REQUIRED, parse_settings, setting
from katibpy.algo.space import Space, Value
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL, CHECKPOINT_PATH_SETTING
from suggestion_services.pbt_exploring import explored
from suggestion_services.pbt_population import (
    GENERATION_LABEL,
    MEMBER_LABEL,
    PARENT_LABEL,
    Population,
    Step,
    quantile,
)


@dataclass(frozen=True, slots=True)
class PbtSettings:
    """Settings of population based training."""

    suggestion_trial_dir: str = setting(
        REQUIRED, help="where a trial sees its checkpoint directory, which begins as a copy of its parent's"
    )
    n_population: int = setting(REQUIRED, minimum=5, help="how many members are trained side by side")
    truncation_threshold: float = setting(
        REQUIRED, minimum=0, maximum=1, help="share of each generation that is replaced by copies of its best"
    )
    resample_probability: float | None = setting(
        None,
        minimum=0,
        maximum=1,
        help="chance that a copied value is drawn anew; else it is times 0.8 or 1.2",
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a member is to do next: its values, and the trial whose checkpoint it begins with."""

    assignment: Mapping[str, Value]
    generation: int = 0
    parent: str = ""


class Pbt(Algorithm):
    """Population based training (Jaderberg et al., 2017), with truncation selection.

    One trial trains one member for one generation. A member that is not in the worst share of its generation
    goes on from its own checkpoint with its own values (exploits nothing, so explores nothing: algorithm 1).
    One that is takes over checkpoint and values of a member of the best share, chosen evenly, and perturbs
    the values. Members are compared with others of the same generation, so that longer training is no merit.

    Generations are not waited for: whoever has ended is judged among those of its generation that have, and
    slots stay idle only while more than half of the population still runs in that generation or before, which
    cannot be when `parallelTrialCount` is at most half of it. Those furthest behind come first. Failed trials
    and losses that are missing, NaN or infinite are the worst and are always replaced, in generation 0 by new
    draws while there is nothing to copy. Trials that were stopped early are replaced too, unless they were
    better than all others. Killed ones are repeated.

    All that must be remembered stands in the labels of the Trials.
    """

    name = "pbt"
    summary = "trains a population whose worst take over checkpoints of its best: finds schedules"
    Settings = PbtSettings
    learns = True
    repeats = True
    example_settings = {  # noqa: RUF012 - never written to
        CHECKPOINT_PATH_SETTING: "/opt/katib/data",
        "n_population": "10",
        "truncation_threshold": "0.2",
    }

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """Checkpoints need a directory of their own."""
        path = parse_settings(PbtSettings, problem.settings).suggestion_trial_dir
        if path.startswith("/") and posixpath.normpath(path).strip("/") and ".." not in path.split("/"):
            return ()
        rule = "the absolute path of a directory of its own, such as /opt/katib/data"
        return (f"setting {CHECKPOINT_PATH_SETTING} must be {rule}, got {path!r}",)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """The next step of each member that is ready, as far as they are wanted."""
        settings = parse_settings(PbtSettings, problem.settings)
        population = Population(history, problem.space, settings.n_population)
        proposals: list[Proposal] = []
        for member in population.ready():
            if len(proposals) == count:
                break
            last = population.last(member)
            if last is not None and _must_wait(last, population):
                continue
            plan = _next(population, last, problem.space, settings, rng)
            labels = {MEMBER_LABEL: str(member), GENERATION_LABEL: str(plan.generation)}
            if plan.parent:
                labels |= {PARENT_LABEL: plan.parent, CHECKPOINT_FROM_LABEL: plan.parent}
            proposals.append(Proposal(problem.space.format_assignment(plan.assignment), labels=labels))
            number = history.total + len(proposals)
            waiting = Entry("", plan.assignment, Outcome.PROPOSED, labels=labels, number=number)
            population.add(member, plan.generation, waiting)
        return Reply(tuple(proposals))


def _must_wait(last: Step, population: Population) -> bool:
    """Whether too few of a member's generation have ended to tell how good it was."""
    is_judged = last.entry.outcome is not Outcome.KILLED
    return is_judged and population.running(last.generation) > population.size // 2


def _next(
    population: Population,
    last: Step | None,
    space: Space,
    settings: PbtSettings,
    rng: np.random.Generator,
) -> _Plan:
    if last is None:
        return _newcomer(space, rng)
    entry = last.entry
    if entry.outcome is Outcome.KILLED and space.key(entry.assignment) is not None:
        return _Plan(entry.assignment, last.generation, entry.labels.get(PARENT_LABEL, ""))
    threshold = settings.truncation_threshold
    if not _is_poor(last, population, threshold):
        return _Plan(entry.assignment, last.generation + 1, entry.name)
    models = _models(last, population, threshold)
    if models:
        model = models[int(rng.integers(len(models)))]
        changed = explored(
            space, model.entry.assignment, rng, resample_probability=settings.resample_probability
        )
        return _Plan(changed, model.generation + 1, model.entry.name)
    if last.loss is None:
        return _newcomer(space, rng)
    return _Plan(entry.assignment, last.generation + 1, entry.name)


def _newcomer(space: Space, rng: np.random.Generator) -> _Plan:
    return _Plan(space.from_unit_cube(rng.random(len(space)).tolist()))


def _is_poor(step: Step, population: Population, threshold: float) -> bool:
    if not step.may_be_copied:
        return True
    ranking = population.ranking(step.generation)
    worst = ranking[len(ranking) - quantile(threshold, len(ranking)) :]
    return any(each.member == step.member for each in worst)


def _models(step: Step, population: Population, threshold: float) -> list[Step]:
    """The best of the step's generation that are better than it; for one without a result, of any before."""
    oldest = step.generation if step.loss is not None else 0
    for generation in range(step.generation, oldest - 1, -1):
        ranking = population.ranking(generation)
        size = max(1, quantile(threshold, len(ranking)))
        best = [each for each in ranking if each.may_be_copied][:size]
        found = [each for each in best if each.rank_key < step.rank_key]
        if found:
            return found
    return []
