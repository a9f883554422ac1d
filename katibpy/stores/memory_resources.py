"""The resource store in memory: the reference that other stores are held against, and the public fake."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar, cast
from uuid import uuid4

from katibpy.api.model import Model, ObjectMeta, Resource
from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.records import HistoryDelta, StoredProposal, Tally
from katibpy.errors import Conflict
from katibpy.ports import Change, Clock, Key, Page
from katibpy.stores.history_records import base_version, history_token, records_in_order
from katibpy.stores.memory_ledger import TrialLedger
from katibpy.stores.resource_rules import (
    ADDED,
    CHANGES_KEPT,
    DELETED,
    MODIFIED,
    NewUid,
    already_exists,
    born,
    foreign_trial,
    kind_name,
    owner_uid_of,
    owner_uid_required,
    page_start,
    phase_of,
    random_uid,
    require_changes,
    require_creatable,
    require_numbers,
    require_version,
    spec_of,
    status_of,
    taken_name,
    told,
)

R = TypeVar("R", bound=Resource)


class _Entry:
    """One stored object; `sequence` is the version it was created with."""

    __slots__ = ("resource", "sequence")

    def __init__(self, resource: Resource, sequence: int) -> None:
        self.resource = resource
        self.sequence = sequence


class MemoryResourceStore:
    """`ResourceStore` in this process's memory.

    Resources are frozen and therefore shared with callers, never copied; what hangs on them (the run
    spec's dictionaries, labels) must not be mutated.

    One lock, `_lock`, guards all state; no method calls out of the store while it is held, but for the
    clock.
    """

    def __init__(
        self, clock: Clock, *, new_uid: NewUid = random_uid, changes_kept: int = CHANGES_KEPT
    ) -> None:
        self._clock = clock
        self._new_uid = new_uid
        self._epoch = uuid4().hex
        self._lock = threading.Lock()
        self._version = 0
        self._changes: deque[Change] = deque(maxlen=changes_kept)
        self._entries: dict[str, dict[tuple[str, str], _Entry]] = {}
        self._owned: dict[str, dict[Key, _Entry]] = {}
        self._ledgers: dict[str, TrialLedger] = {}

    def create(self, resource: R) -> R:
        """See `ResourceStore.create`."""
        require_creatable(resource)
        with self._lock:
            existing = self._entry(resource.key)
            if existing is not None:
                raise already_exists(existing.resource)
            return self._add(resource)

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """See `ResourceStore.find`."""
        with self._lock:
            entry = self._entry((kind_name(kind), namespace, name))
            return None if entry is None else cast("R", entry.resource)

    def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        owner_uid: str | None = None,
        phases: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        is_deleting: bool | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[R]:
        """See `ResourceStore.list`."""
        start = page_start(after)
        wanted = kind_name(kind)
        with self._lock:
            version = self._version
            entries: Iterable[_Entry]
            if owner_uid is None:
                entries = self._entries.get(wanted, {}).values()
            else:
                owned = self._owned.get(owner_uid, {})
                entries = (entry for key, entry in owned.items() if key[0] == wanted)
            fitting = (
                entry
                for entry in entries
                if entry.sequence > start
                and (namespace is None or entry.resource.metadata.namespace == namespace)
                and (not phases or phase_of(entry.resource) in phases)
                and (not labels or labels.items() <= entry.resource.metadata.labels.items())
                and is_deleting in (None, entry.resource.metadata.deletion_timestamp is not None)
            )
            found = tuple(fitting if limit is None else islice(fitting, limit + 1))
        if limit is None or len(found) <= limit:
            return Page(items=_resources(found), next=None, version=version)
        shown = found[:limit]
        return Page(
            items=_resources(shown), next=str(shown[-1].sequence if shown else start), version=version
        )

    def replace_spec(self, resource: R) -> R:
        """See `ResourceStore.replace_spec`."""
        with self._lock:
            entry = self._current(resource)
            stored, given = entry.resource, resource.metadata
            is_new_spec = spec_of(stored) != spec_of(resource)
            known = stored.metadata
            if not is_new_spec and (known.labels, known.annotations) == (given.labels, given.annotations):
                return cast("R", stored)
            metadata = known.but(
                labels=given.labels,
                annotations=given.annotations,
                generation=(known.generation or 0) + is_new_spec,
            )
            spec = spec_of(resource) if is_new_spec else spec_of(stored)
            return cast("R", self._replace(entry, metadata=metadata, spec=spec))

    def replace_status(self, resource: R) -> R:
        """See `ResourceStore.replace_status`."""
        with self._lock:
            return cast("R", self._write_status(resource))

    def delete(self, kind: type[Resource], namespace: str, name: str) -> bool:
        """See `ResourceStore.delete`."""
        with self._lock:
            entry = self._entry((kind_name(kind), namespace, name))
            if entry is None:
                return False
            now = self._clock.now()
            for marked in self._with_owned(entry):
                metadata = marked.resource.metadata
                if metadata.deletion_timestamp is None:
                    self._replace(marked, metadata=metadata.but(deletion_timestamp=now))
            return True

    def remove(self, resource: Resource) -> None:
        """See `ResourceStore.remove`."""
        with self._lock:
            entry = self._entry(resource.key)
            uid = resource.metadata.uid
            if entry is None or uid is None or entry.resource.metadata.uid != uid:
                return
            owned = self._owned.get(uid)
            if owned:
                raise Conflict(
                    f"{told(resource)} must own nothing when it is removed, got {len(owned)} objects: "
                    "remove them first"
                )
            stored = entry.resource
            version = self._log(stored, DELETED)
            del self._entries[stored.kind][stored.key[1:]]
            self._owned.pop(uid, None)
            self._ledgers.pop(uid, None)
            owner_uid = owner_uid_of(stored)
            if owner_uid is None:
                return
            self._owned[owner_uid].pop(stored.key)
            if isinstance(stored, Trial):
                self._ledger(owner_uid).take(stored.metadata.name, version=version)
            elif isinstance(stored, Suggestion):
                self._ledger(owner_uid).withdraw_proposals(version=version)

    def save_reply(
        self, suggestion: Suggestion, proposals: Sequence[TrialAssignment], *, memory: bytes | None
    ) -> Suggestion:
        """See `ResourceStore.save_reply`."""
        experiment_uid = owner_uid_required(suggestion)
        first = require_numbers(suggestion, tuple(proposals))
        with self._lock:
            self._current(suggestion)
            ledger = self._ledger(experiment_uid)
            for proposal in proposals:
                if ledger.knows(proposal.name):
                    raise taken_name(proposal.name)
            stored = self._write_status(suggestion, even_if_equal=bool(proposals))
            for number, proposal in enumerate(proposals, start=first):
                ledger.propose(number, proposal, version=self._version)
            if memory is not None:
                ledger.memory = memory
            return cast("Suggestion", stored)

    def proposals(self, experiment_uid: str, *, limit: int | None = None) -> tuple[StoredProposal, ...]:
        """See `ResourceStore.proposals`."""
        with self._lock:
            ledger = self._ledgers.get(experiment_uid)
            found = () if ledger is None else tuple(ledger.proposals.values())
        ordered = sorted(found, key=lambda proposal: proposal.number)
        return tuple(ordered[:limit])

    def memory(self, experiment_uid: str) -> bytes | None:
        """See `ResourceStore.memory`."""
        with self._lock:
            ledger = self._ledgers.get(experiment_uid)
            return None if ledger is None else ledger.memory

    def create_trial(self, trial: Trial) -> Trial:
        """See `ResourceStore.create_trial`."""
        owner_uid = owner_uid_required(trial)
        with self._lock:
            existing = self._entry(trial.key)
            if existing is None:
                return self._add(trial)
            stored = cast("Trial", existing.resource)
            if owner_uid_of(stored) != owner_uid:
                raise foreign_trial(stored)
            return stored

    def active_trials(self, experiment_uid: str) -> tuple[Trial, ...]:
        """See `ResourceStore.active_trials`."""
        with self._lock:
            ledger = self._ledgers.get(experiment_uid)
            return () if ledger is None else ledger.active_trials()

    def tally(self, experiment_uid: str) -> Tally:
        """See `ResourceStore.tally`."""
        with self._lock:
            ledger = self._ledgers.get(experiment_uid)
            return Tally() if ledger is None else ledger.tally()

    def history(self, experiment_uid: str, *, since: str | None = None) -> HistoryDelta:
        """See `ResourceStore.history`. Lines are built here, outside the lock, of changed Trials only."""
        with self._lock:
            base = base_version(since, epoch=self._epoch, newest=self._version)
            ledger = self._ledgers.get(experiment_uid, TrialLedger())
            removed: tuple[str, ...] = ()
            if base is None:
                trials, proposals = ledger.everything()
            else:
                trials, proposals, removed = ledger.changed_since(base)
            token = history_token(self._epoch, ledger.version)
            size = ledger.size
        return HistoryDelta(
            token=token,
            base=None if base is None else since,
            records=records_in_order(trials, proposals),
            removed=removed,
            size=size,
        )

    def changes(self, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        """See `ResourceStore.changes`."""
        with self._lock:
            dropped = self._version - len(self._changes)
            require_changes(since, dropped=dropped, newest=self._version)
            # Every version has one entry, so its place is known; it is reached from the nearer end.
            newer = self._version - since
            if newer <= limit:
                return tuple(islice(reversed(self._changes), newer))[::-1]
            return tuple(islice(self._changes, since - dropped, since - dropped + limit))

    def version(self) -> int:
        """See `ResourceStore.version`."""
        with self._lock:
            return self._version

    def _entry(self, key: Key) -> _Entry | None:
        return self._entries.get(key[0], {}).get(key[1:])

    def _ledger(self, experiment_uid: str) -> TrialLedger:
        ledger = self._ledgers.get(experiment_uid)
        if ledger is None:
            ledger = self._ledgers[experiment_uid] = TrialLedger()
        return ledger

    def _current(self, given: Resource) -> _Entry:
        entry = self._entry(given.key)
        require_version(given, None if entry is None else entry.resource.metadata.resource_version)
        assert entry is not None
        return entry

    def _add(self, resource: R) -> R:
        stored = born(resource, uid=self._new_uid(), version=self._version + 1, created=self._clock.now())
        version = self._log(stored, ADDED)
        entry = _Entry(stored, version)
        self._entries.setdefault(stored.kind, {})[stored.key[1:]] = entry
        owner_uid = owner_uid_of(stored)
        if owner_uid is not None:
            self._owned.setdefault(owner_uid, {})[stored.key] = entry
            if isinstance(stored, Trial):
                self._ledger(owner_uid).put(stored, sequence=version, version=version)
        return stored

    def _write_status(self, resource: Resource, *, even_if_equal: bool = False) -> Resource:
        entry = self._current(resource)
        stored, status = entry.resource, status_of(resource)
        if not even_if_equal and status_of(stored) == status:
            return stored
        return self._replace(entry, status=status)

    def _replace(self, entry: _Entry, *, metadata: ObjectMeta | None = None, **changes: Model) -> Resource:
        version = self._log(entry.resource, MODIFIED)
        metadata = (metadata or entry.resource.metadata).but(resource_version=str(version))
        stored = entry.resource.but(metadata=metadata, **changes)
        entry.resource = stored
        if isinstance(stored, Trial):
            owner_uid = owner_uid_of(stored)
            if owner_uid is not None:
                self._ledger(owner_uid).put(stored, sequence=entry.sequence, version=version)
        return stored

    def _with_owned(self, entry: _Entry) -> Iterator[_Entry]:
        yield entry
        for child in self._owned.get(entry.resource.metadata.uid or "", {}).values():
            yield from self._with_owned(child)

    def _log(self, resource: Resource, change: str) -> int:
        self._version += 1
        kind, namespace, name = resource.key
        uid = resource.metadata.uid or ""
        self._changes.append(Change(self._version, kind, namespace, name, uid, change))
        return self._version


def _resources(entries: Sequence[_Entry]) -> tuple[R, ...]:
    return tuple(cast("R", entry.resource) for entry in entries)
