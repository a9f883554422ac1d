"""A hypothesis state machine: a resource store, the memory store and a count by hand, side by side."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.core.records import TrialRecord
from katibpy.errors import Conflict
from katibpy.ports import ResourceStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.stores.resource_rules import random_uid
from katibpy.testing.store_cases import (
    OpenStore,
    SteppingClock,
    add_experiment,
    add_suggestion,
    all_of,
    refusal,
    require,
    require_consistent,
    save,
    trial_for,
    with_phase,
)
from katibpy.testing.store_history_checks import apply

R = TypeVar("R", bound=Resource)

VALUES = ("0.5", "0.50", "0.25", "-1e3", "nan", "inf", "-inf", "word", "unavailable", "-0.0", "0", None)
"""Results of Trials: equal and extreme numbers, numbers that cannot be compared, and none."""


class StoreMachine(RuleBasedStateMachine):
    """Random operations on two stores at once.

    After each step everything that the checked store counts equals a count by hand of what it lists,
    its history followed by differences is the whole one, and both stores hold the same. Subclass it and
    set `open_store`.
    """

    open_store: OpenStore

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self.store: ResourceStore = self._open.enter_context(type(self).open_store())
        # Names of Trials follow from their Experiment's uid, so that must be the same in both stores.
        self._uids: list[str] = []
        self.model: ResourceStore = MemoryResourceStore(SteppingClock(), new_uid=self._next_uid)
        self.known: dict[str, TrialRecord] = {}
        self.tokens: list[tuple[str, dict[str, TrialRecord]]] = []

    def teardown(self) -> None:
        """Closes the store."""
        self._open.close()

    @initialize()
    def begin(self) -> None:
        """An Experiment with its Suggestion."""
        self._uids = [add_experiment(self.store).metadata.uid or ""]
        add_experiment(self.model)
        for store in self.both:
            add_suggestion(store, _owner(store))

    @property
    def both(self) -> tuple[ResourceStore, ResourceStore]:
        """The checked store and the model."""
        return self.store, self.model

    @rule(count=st.integers(0, 3), memory=st.none() | st.binary(max_size=3))
    def save_reply(self, count: int, memory: bytes | None) -> None:
        """A reply of the algorithm, under a new Suggestion if there is none."""
        for store in self.both:
            owner = _owner(store)
            suggestion = store.find(Suggestion, "default", "tune")
            if suggestion is None:
                # Numbers go on, as they do when a person deleted the Suggestion.
                suggestion = add_suggestion(store, owner, made=_made(store))
            save(store, suggestion, owner, count, memory=memory)

    @precondition(lambda self: bool(self.store.proposals(_uid(self.store))))
    @rule(data=st.data())
    def create_trial(self, data: st.DataObject) -> None:
        """Any proposal becomes a Trial."""
        numbers = [proposal.number for proposal in self.store.proposals(_uid(self.store))]
        number = data.draw(st.sampled_from(numbers))
        for store in self.both:
            store.create_trial(trial_for(_owner(store), number))

    @rule(number=st.integers(1000, 1004))
    def create_trial_anyway(self, number: int) -> None:
        """A Trial that was never proposed, was removed, or is there already."""
        for store in self.both:
            store.create_trial(trial_for(_owner(store), number))

    @precondition(lambda self: bool(_trials(self.store)))
    @rule(data=st.data(), phase=st.sampled_from(TrialPhase), value=st.sampled_from(VALUES))
    def set_phase(self, data: st.DataObject, phase: TrialPhase, value: str | None) -> None:
        """A Trial comes to any phase, also back from its end."""
        name = self._some_trial(data)
        for store in self.both:
            trial = _found(store, name)
            changed = store.replace_status(with_phase(trial, phase, value))
            if changed.metadata.resource_version != trial.metadata.resource_version:
                with refusal("a write with the version before", Conflict):
                    store.replace_status(trial)

    @precondition(lambda self: bool(_trials(self.store)))
    @rule(data=st.data(), value=st.sampled_from(("a", "b")))
    def relabel(self, data: st.DataObject, value: str) -> None:
        """A Trial gets another label."""
        name = self._some_trial(data)
        for store in self.both:
            trial = _found(store, name)
            store.replace_spec(trial.but(metadata=trial.metadata.but(labels={"label": value})))

    @precondition(lambda self: bool(_trials(self.store)))
    @rule(data=st.data())
    def delete_trial(self, data: st.DataObject) -> None:
        """A Trial is marked."""
        name = self._some_trial(data)
        for store in self.both:
            store.delete(Trial, "default", name)

    @precondition(lambda self: bool(_trials(self.store)))
    @rule(data=st.data())
    def remove_trial(self, data: st.DataObject) -> None:
        """A Trial is gone."""
        name = self._some_trial(data)
        for store in self.both:
            store.remove(_found(store, name))

    @rule()
    def remove_suggestion(self) -> None:
        """The Suggestion is gone, its proposals with it."""
        for store in self.both:
            suggestion = store.find(Suggestion, "default", "tune")
            if suggestion is not None:
                store.remove(suggestion)

    @rule()
    def delete_experiment(self) -> None:
        """Everything is marked."""
        for store in self.both:
            store.delete(Experiment, "default", "tune")

    @precondition(lambda self: bool(self.tokens))
    @rule(data=st.data())
    def follow_from_long_ago(self, data: st.DataObject) -> None:
        """A difference to any earlier history leads to the present one."""
        token, known = data.draw(st.sampled_from(self.tokens))
        delta = self.store.history(_uid(self.store), since=token)
        require("the history followed from long ago", apply(known, delta), self.known)

    @invariant()
    def counts_are_right(self) -> None:
        """What is counted is what is there."""
        if self.store.list(Experiment).items:
            require_consistent(self.store, _uid(self.store))

    @invariant()
    def differences_add_up(self) -> None:
        """The history followed by differences is the whole history."""
        if not self.store.list(Experiment).items:
            return
        uid = _uid(self.store)
        delta = self.store.history(uid, since=self.tokens[-1][0] if self.tokens else None)
        self.known = apply(self.known, delta)
        whole = {record.name: record for record in self.store.history(uid).records}
        require("the history followed by differences", self.known, whole)
        self.tokens.append((delta.token, self.known))

    @invariant()
    def both_hold_the_same(self) -> None:
        """The checked store and the memory store agree."""
        if not self.store.list(Experiment).items:
            return
        mine, models = (_picture(store) for store in self.both)
        require("the store, held against the memory store,", mine, models)

    def _next_uid(self) -> str:
        return self._uids.pop() if self._uids else random_uid()

    def _some_trial(self, data: st.DataObject) -> str:
        names = [trial.metadata.name for trial in _trials(self.store)]
        return data.draw(st.sampled_from(names))


def _owner(store: ResourceStore) -> Experiment:
    owner = store.find(Experiment, "default", "tune")
    if owner is None:
        raise LookupError("the machine must have an Experiment")
    return owner


def _uid(store: ResourceStore) -> str:
    return _owner(store).metadata.uid or ""


def _trials(store: ResourceStore) -> tuple[Trial, ...]:
    return all_of(store, Trial, _uid(store))


def _found(store: ResourceStore, name: str) -> Trial:
    trial = store.find(Trial, "default", name)
    if trial is None:
        raise LookupError(f"both stores must have the Trial {name}")
    return trial


def _made(store: ResourceStore) -> int:
    return 1 + max((record.number for record in store.history(_uid(store)).records), default=-1)


def _picture(store: ResourceStore) -> dict[str, Any]:
    """All that is in a store, without what each store makes up itself."""
    uid = _uid(store)
    history = store.history(uid)
    return {
        "objects": [
            _plain(resource)
            for kind in (Experiment, Suggestion, Trial)
            for resource in store.list(kind).items
        ],
        "labelled": [trial.metadata.name for trial in store.list(Trial, labels={"label": "a"}).items],
        "deleting": [trial.metadata.name for trial in store.list(Trial, is_deleting=True).items],
        "succeeded": [trial.metadata.name for trial in store.list(Trial, phases=["Succeeded"]).items],
        "tally": store.tally(uid),
        "proposals": store.proposals(uid),
        "memory": store.memory(uid),
        "active": [trial.metadata.name for trial in store.active_trials(uid)],
        "history": [(record.name, record.phase) for record in history.records],
        "version": store.version(),
        "changes": [
            (change.version, change.kind, change.name, change.type)
            for change in store.changes(max(0, store.version() - 10))
        ],
    }


def _plain(resource: Resource) -> Resource:
    metadata = resource.metadata
    return resource.but(
        metadata=metadata.but(
            uid=None,
            creation_timestamp=None,
            deletion_timestamp=None if metadata.deletion_timestamp is None else "set",
            owner_references=len(metadata.owner_references),
        )
    )
