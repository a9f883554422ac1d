"""Checks of a resource store: history differences and the change log."""

from __future__ import annotations

from katibpy.api.experiment import Experiment
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.errors import ChangesGone
from katibpy.ports import ResourceStore
from katibpy.testing.store_cases import (
    add_experiment,
    add_suggestion,
    finish,
    refusal,
    require,
    require_consistent,
    save,
    trial_for,
    with_phase,
)

CHANGES_KEPT = 1_000
"""A store that is checked must be told to keep this many changes."""

_MANY = 2_500


def apply(known: dict[str, TrialRecord], delta: HistoryDelta) -> dict[str, TrialRecord]:
    """A history, by name, after a difference.

    Raises:
        BrokenStoreError: the difference contradicts itself.
    """
    if delta.base is None:
        known = {}
        require("removed of a whole history", delta.removed, ())
    both = set(delta.removed) & {record.name for record in delta.records}
    require("names both removed and there", both, set())
    numbers = [record.number for record in delta.records]
    require("the order of a difference", numbers, sorted(numbers))
    kept = {name: record for name, record in known.items() if name not in delta.removed}
    kept |= {record.name: record for record in delta.records}
    require("size", delta.size, len(kept))
    return kept


def differences_lead_to_the_whole_history(store: ResourceStore) -> None:
    """Each difference, applied to the history it names, gives the next one."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    known: dict[str, TrialRecord] = {}
    token: str | None = None

    def follow(what: str) -> tuple[int, int]:
        nonlocal known, token
        delta = store.history(uid, since=token)
        require(f"base after {what}", delta.base, token)
        known = apply(known, delta)
        token = delta.token
        whole = store.history(uid)
        require(f"the history after {what}", known, {record.name: record for record in whole.records})
        return len(delta.records), len(delta.removed)

    follow("nothing")
    suggestion = save(store, add_suggestion(store, owner), owner, 3)
    require("changes of a reply", follow("a reply"), (3, 0))
    trial = store.create_trial(trial_for(owner, 0))
    require("changes of a new Trial", follow("a new Trial"), (1, 0))
    trial = store.replace_status(with_phase(trial, TrialPhase.RUNNING))
    done = store.replace_status(with_phase(trial, TrialPhase.SUCCEEDED, "0.990"))
    require("changes of a run", follow("a run"), (1, 0))
    require("no changes", follow("nothing"), (0, 0))
    store.remove(done)
    require("changes of a removal", follow("a removal"), (0, 1))
    store.create_trial(trial_for(owner, 0))
    require("changes of a return", follow("a return"), (1, 0))
    store.remove(suggestion)
    require("changes of withdrawn proposals", follow("withdrawn proposals"), (0, 2))
    save(store, add_suggestion(store, owner, made=3), owner, 1)
    require("changes of a new Suggestion", follow("a new Suggestion"), (1, 0))
    require_consistent(store, uid)


def any_known_token_may_be_used_again(store: ResourceStore) -> None:
    """A token keeps its meaning: differences may be asked for twice and from long ago."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    states: list[tuple[str, dict[str, TrialRecord]]] = []
    for number in range(6):
        trial = finish(store, owner, number, "0.5")
        if number % 3 == 2:
            store.remove(trial)
        whole = store.history(uid)
        states.append((whole.token, {record.name: record for record in whole.records}))
    for token, known in states * 2:
        require(f"from {token}", apply(known, store.history(uid, since=token)), states[-1][1])


def an_unknown_token_gives_everything(store: ResourceStore) -> None:
    """Tokens of another store, of the future or of nobody are answered with the whole history."""
    owner = add_experiment(store)
    finish(store, owner, 0, "0.5")
    uid = owner.metadata.uid or ""
    whole = store.history(uid)
    epoch = whole.token.partition(":")[0]
    for token in ("", "nonsense", "other:1", f"{epoch}:999999", f"{epoch}:-1", f"{epoch}:x"):
        delta = store.history(uid, since=token)
        require(f"history since {token!r}", delta, whole)
    nobody = store.history("nobody")
    require("the history of nobody", (nobody.records, nobody.size, nobody.base), ((), 0, None))


def every_version_has_one_change(store: ResourceStore) -> None:
    """The log has one entry for each version, oldest first, and may be read in parts."""
    start = store.version()
    owner = add_experiment(store)
    trial = store.create_trial(trial_for(owner, 0))
    store.replace_status(with_phase(trial, TrialPhase.RUNNING))
    store.delete(Experiment, "default", "tune")
    store.remove(trial)
    log = store.changes(start)
    require("versions", [change.version for change in log], list(range(start + 1, store.version() + 1)))
    kinds = [(change.type, change.kind) for change in log]
    wanted = [("ADDED", "Experiment"), ("ADDED", "Trial"), ("MODIFIED", "Trial")]
    require("the first changes", kinds[:3], wanted)
    require("the last change", kinds[-1], ("DELETED", "Trial"))
    require("names", {change.name for change in log}, {"tune", trial.metadata.name})
    require("uids", {change.uid for change in log}, {owner.metadata.uid, trial.metadata.uid})
    require("read in parts", store.changes(start, limit=2) + store.changes(start + 2), log)
    require("after the newest", store.changes(store.version()), ())
    with refusal("changes after a version that is not there yet", ChangesGone):
        store.changes(store.version() + 1)


def old_changes_are_dropped_and_said_so(store: ResourceStore) -> None:
    """The log is bounded; whoever asks for dropped entries is told."""
    owner = add_experiment(store)
    trial = store.create_trial(trial_for(owner, 0))
    first = store.version()
    for turn in range(_MANY):
        trial = store.replace_status(
            with_phase(trial, (TrialPhase.PENDING, TrialPhase.RUNNING)[1 - turn % 2])
        )
    newest = store.version()
    require("versions", newest, first + _MANY)
    with refusal("changes that were dropped", ChangesGone):
        store.changes(first)
    oldest = newest - CHANGES_KEPT
    kept = [change.version for change in store.changes(oldest, limit=CHANGES_KEPT)]
    require("changes that are kept", kept, list(range(oldest + 1, newest + 1)))
