"""The suite is worth something only if it notices stores that break the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, MetricSummary, ObservedValue, Tally
from katibpy.errors import Conflict, StoreError
from katibpy.stores.memory_observations import MemoryObservationStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.stores.resource_rules import owner_uid_required
from katibpy.testing import observation_suite, store_suite
from katibpy.testing.store_cases import BrokenStoreError, SteppingClock


class ForgetsRemovals(MemoryResourceStore):
    def history(self, experiment_uid: str, *, since: str | None = None) -> HistoryDelta:
        delta = super().history(experiment_uid, since=since)
        return HistoryDelta(delta.token, delta.base, delta.records, (), delta.size)


class AlwaysSendsEverything(MemoryResourceStore):
    def history(self, experiment_uid: str, *, since: str | None = None) -> HistoryDelta:
        return super().history(experiment_uid)


class IgnoresVersions(MemoryResourceStore):
    def replace_status(self, resource: Any) -> Any:
        try:
            return super().replace_status(resource)
        except Conflict:
            stored = self.find(type(resource), resource.metadata.namespace, resource.metadata.name)
            return resource if stored is None else super().replace_status(stored.but(status=resource.status))


class WritesEqualStatuses(MemoryResourceStore):
    def replace_status(self, resource: Any) -> Any:
        stored = super().replace_status(resource.but(status=resource.status.but(conditions=())))
        return super().replace_status(stored.but(status=resource.status))


class NamesTheFirstToEnd(MemoryResourceStore):
    def tally(self, experiment_uid: str) -> Tally:
        tally = super().tally(experiment_uid)
        newest = {phase: tuple(sorted(names)) for phase, names in tally.newest.items()}
        return Tally(tally.counts, tally.best, newest)


class CountsNothingFailed(MemoryResourceStore):
    def tally(self, experiment_uid: str) -> Tally:
        tally = super().tally(experiment_uid)
        return Tally({**tally.counts, TrialPhase.FAILED: 0}, tally.best, tally.newest)


class KeepsHalfOfAReply(MemoryResourceStore):
    def save_reply(
        self, suggestion: Suggestion, proposals: Sequence[TrialAssignment], *, memory: bytes | None
    ) -> Suggestion:
        if memory is not None:
            self._ledger(owner_uid_required(suggestion)).memory = memory
        return super().save_reply(suggestion, proposals, memory=memory)


class CreatesTrialsTwice(MemoryResourceStore):
    def create_trial(self, trial: Trial) -> Trial:
        stored = self.find(Trial, trial.metadata.namespace, trial.metadata.name)
        if stored is not None:
            self.remove(stored)
        return super().create_trial(trial)


class NeverDropsChanges(MemoryResourceStore):
    def __init__(self, clock: SteppingClock, **_: Any) -> None:
        super().__init__(clock)


BROKEN = [
    ForgetsRemovals,
    AlwaysSendsEverything,
    IgnoresVersions,
    WritesEqualStatuses,
    NamesTheFirstToEnd,
    CountsNothingFailed,
    KeepsHalfOfAReply,
    CreatesTrialsTwice,
    NeverDropsChanges,
]


@pytest.mark.parametrize("kind", BROKEN)
def test_the_suite_notices_a_store_that(kind: type[MemoryResourceStore]) -> None:
    broken = 0
    for check in store_suite.CHECKS:
        try:
            check(kind(SteppingClock(), changes_kept=store_suite.CHANGES_KEPT))
        except (BrokenStoreError, StoreError):
            broken += 1
    assert broken > 0


class ForgetsOrder(MemoryObservationStore):
    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        known = len(self.read(trial_uid))
        super().append(
            trial_uid,
            [ObservedValue(known + at, each.metric, each.text, each.time) for at, each in enumerate(values)],
        )


class TidiesNumbers(MemoryObservationStore):
    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        tidy = [
            value
            if value.number is None
            else ObservedValue(value.sequence, value.metric, str(value.number), value.time, value.step)
            for value in values
        ]
        super().append(trial_uid, tidy)


class ComparesInfinities(MemoryObservationStore):
    def summarize(self, trial_uid: str, metrics: Sequence[str]) -> Mapping[str, MetricSummary]:
        found = dict(super().summarize(trial_uid, metrics))
        for metric, summary in found.items():
            texts = [value.text for value in self.read(trial_uid, metric=metric)]
            if "inf" in texts:
                found[metric] = MetricSummary(summary.min, "inf", summary.latest, summary.count)
        return found


@pytest.mark.parametrize("kind", [ForgetsOrder, TidiesNumbers, ComparesInfinities])
def test_the_suite_notices_an_observation_store_that(kind: type[MemoryObservationStore]) -> None:
    broken = 0
    for check in observation_suite.CHECKS:
        try:
            check(kind())
        except (BrokenStoreError, StoreError):
            broken += 1
    assert broken > 0
