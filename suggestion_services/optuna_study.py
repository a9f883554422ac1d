"""A history as an Optuna study, converted once and kept as long as it helps."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.space import Space
from suggestion_services.optuna_space import OptunaSpace
from suggestion_services.optuna_storage import STUDY_NAME, HistoryStorage, new_trial

_KEPT_TRIALS = 200_000


def study_of(trials: list[FrozenTrial], sampler: BaseSampler) -> Study:
    """A minimising study over the trials, which become its own."""
    return Study(study_name=STUDY_NAME, storage=HistoryStorage(trials), sampler=sampler)


@dataclass(frozen=True, slots=True)
class _Kept:
    space: Space
    entries: list[Entry]
    trials: list[FrozenTrial]


class TrialCache:
    """Trials of the Experiments asked for last, so that a request converts only what is new.

    What is kept is compared with the history entry by entry, so it can neither be stale nor change a result.
    `_lock` guards the table; what a request works on is taken out of it first.
    """

    def __init__(self, capacity: int = _KEPT_TRIALS) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def trials(self, problem: Problem, history: History, optuna_space: OptunaSpace) -> list[FrozenTrial]:
        """All entries as trials numbered from 0, in a list that is the caller's own."""
        with self._lock:
            kept = self._kept.pop(problem.uid, None)
        if kept is None or kept.space != problem.space:
            kept = _Kept(problem.space, [], [])
        entries, trials = list(history.entries), list(kept.trials[: len(history.entries)])
        for number, entry in enumerate(entries):
            if number >= len(trials):
                trials.append(trial_of(entry, number, optuna_space))
            elif entry is not kept.entries[number] and entry != kept.entries[number]:
                trials[number] = trial_of(entry, number, optuna_space)
        if problem.uid:
            self._keep(problem.uid, _Kept(problem.space, entries, trials))
        return list(trials)

    def clear(self) -> None:
        """Drops everything; changes nothing but time."""
        with self._lock:
            self._kept.clear()

    def _keep(self, uid: str, kept: _Kept) -> None:
        with self._lock:
            self._kept[uid] = kept
            self._kept.move_to_end(uid)
            total = sum(len(each.trials) for each in self._kept.values())
            while total > self._capacity:
                total -= len(self._kept.popitem(last=False)[1].trials)


def trial_of(entry: Entry, number: int, optuna_space: OptunaSpace) -> FrozenTrial:
    """One history entry as a trial.

    A trial that failed, or whose loss is missing, NaN or infinite, completes with an infinite loss: it ranks
    behind every number, so a model learns to keep away from it. What was stopped early counts with the loss
    that it showed. A killed trial says nothing about its assignment, and neither does one of another space.
    """
    parameters = optuna_space.to_optuna(entry.assignment)
    if parameters is None or entry.outcome is Outcome.KILLED:
        return new_trial(number, TrialState.FAIL, None, {}, {})
    if entry.outcome.is_pending:
        return new_trial(number, TrialState.RUNNING, None, parameters, optuna_space.distributions)
    is_usable = entry.outcome is not Outcome.FAILED and entry.loss is not None and math.isfinite(entry.loss)
    loss = entry.loss if is_usable else math.inf
    return new_trial(number, TrialState.COMPLETE, loss, parameters, optuna_space.distributions)
