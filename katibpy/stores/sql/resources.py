"""The resource store in a SQL database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Select, bindparam, delete, insert, select, update

from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.records import HistoryDelta, StoredProposal, Tally
from katibpy.ports import Change, Clock, Page
from katibpy.stores.history_records import alters_record
from katibpy.stores.resource_rules import (
    ADDED,
    CHANGES_KEPT,
    MODIFIED,
    NewUid,
    already_exists,
    born,
    foreign_trial,
    kind_name,
    owner_uid_of,
    owner_uid_required,
    page_start,
    random_uid,
    require_changes,
    require_creatable,
    require_numbers,
    require_version,
    spec_of,
    status_of,
)
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.history_rows import fetch_history, note_restored, read_proposals
from katibpy.stores.sql.parsed import ParsedResources
from katibpy.stores.sql.proposal_rows import read_memory, save_memory, save_proposals, take_proposal
from katibpy.stores.sql.removal import mark_deleted, remove_object
from katibpy.stores.sql.revision import Revision, StoreState, revising
from katibpy.stores.sql.rows import READ, created_columns, derived_columns, head_of, resource_of, written
from katibpy.stores.sql.schema import changes, labels, objects
from katibpy.stores.sql.tallying import count_trial, move_trial, read_active, read_tally
from katibpy.stores.sql.transaction import Row, Transaction

R = TypeVar("R", bound=Resource)

_FIND = select(*READ).where(
    objects.c.kind == bindparam("kind"),
    objects.c.namespace == bindparam("namespace"),
    objects.c.name == bindparam("name"),
)
_INSERT = insert(objects)
_THIS = objects.c.id == bindparam("object_id")
_WRITE_STATUS = (
    update(objects)
    .where(_THIS)
    .values({name: bindparam(name) for name in ("resource_version", "record_version", "status")})
    .values({name: bindparam(name) for name in ("phase", "started_at", "completed_at", "rank")})
)
_WRITE_SPEC = _WRITE_STATUS.values(
    {name: bindparam(name) for name in ("generation", "head", "spec", "number")}
)
_ADD_LABELS = insert(labels)
_DROP_LABELS = delete(labels).where(labels.c.object_id == bindparam("object_id"))
_CHANGES = (
    select(*changes.c)
    .where(changes.c.version > bindparam("since"))
    .order_by(changes.c.version)
    .limit(bindparam("most"))
)


class SqlResourceStore:
    """`ResourceStore` in a SQL database, shared with other processes.

    What it keeps in memory is what it need not parse again, see `ParsedResources`; for locks see `Database`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        new_uid: NewUid = random_uid,
        changes_kept: int = CHANGES_KEPT,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_uid = new_uid
        self._changes_kept = changes_kept
        self._parsed = ParsedResources()

    def create(self, resource: R) -> R:
        """See `ResourceStore.create`."""
        require_creatable(resource)
        with self._revising() as revision:
            existing = self._stored(revision.transaction, resource)
            if existing is not None:
                raise already_exists(existing)
            return self._add(revision, resource)

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """See `ResourceStore.find`."""
        asked = {"kind": kind_name(kind), "namespace": namespace, "name": name}
        with self._database.looking() as transaction:
            row = transaction.first(_FIND, asked)
        return None if row is None else self._parsed.of(kind, row)

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
        query = select(*READ).where(objects.c.kind == kind_name(kind), objects.c.id > start)
        if namespace is not None:
            query = query.where(objects.c.namespace == namespace)
        if owner_uid is not None:
            query = query.where(objects.c.owner_uid == owner_uid)
        if phases:
            query = query.where(objects.c.phase.in_([str(phase) for phase in phases]))
        if is_deleting is not None:
            deleted_at = objects.c.deleted_at
            query = query.where(deleted_at.is_not(None) if is_deleting else deleted_at.is_(None))
        for name, value in (labels or {}).items():
            query = query.where(objects.c.id.in_(_labelled(name, value)))
        query = query.order_by(objects.c.id)
        if limit is not None:
            query = query.limit(limit + 1)
        with self._database.reading() as transaction:
            version = StoreState(transaction).version
            rows = transaction.all_of(query)
        if limit is None or len(rows) <= limit:
            return Page(items=tuple(resource_of(kind, row) for row in rows), next=None, version=version)
        shown = rows[:limit]
        return Page(
            items=tuple(resource_of(kind, row) for row in shown),
            next=str(shown[-1].id if shown else start),
            version=version,
        )

    def replace_spec(self, resource: R) -> R:
        """See `ResourceStore.replace_spec`."""
        with self._revising() as revision:
            row, stored = self._current(revision.transaction, resource)
            known, given = stored.metadata, resource.metadata
            is_new_spec = spec_of(stored) != spec_of(resource)
            if not is_new_spec and (known.labels, known.annotations) == (given.labels, given.annotations):
                return stored
            if known.labels != given.labels:
                revision.transaction.change(_DROP_LABELS, {"object_id": row.id})
                self._add_labels(revision.transaction, row.id, given.labels)
            changed = stored.but(
                metadata=known.but(
                    labels=given.labels,
                    annotations=given.annotations,
                    generation=(known.generation or 0) + is_new_spec,
                ),
                spec=spec_of(resource) if is_new_spec else spec_of(stored),
            )
            return self._replace(revision, row, stored, changed, is_spec=True)

    def replace_status(self, resource: R) -> R:
        """See `ResourceStore.replace_status`."""
        with self._revising() as revision:
            return self._write_status(revision, resource)

    def delete(self, kind: type[Resource], namespace: str, name: str) -> bool:
        """See `ResourceStore.delete`."""
        with self._revising() as revision:
            return mark_deleted(revision, (kind_name(kind), namespace, name), now=self._clock.now())

    def remove(self, resource: Resource) -> None:
        """See `ResourceStore.remove`."""
        with self._revising() as revision:
            row = self._row(revision.transaction, resource)
            if row is not None and row.uid == resource.metadata.uid:
                remove_object(revision, resource, row)

    def save_reply(
        self, suggestion: Suggestion, proposals: Sequence[TrialAssignment], *, memory: bytes | None
    ) -> Suggestion:
        """See `ResourceStore.save_reply`."""
        experiment_uid = owner_uid_required(suggestion)
        first = require_numbers(suggestion, tuple(proposals))
        with self._revising() as revision:
            stored = self._write_status(revision, suggestion, even_if_equal=bool(proposals))
            namespace = suggestion.metadata.namespace
            save_proposals(revision, experiment_uid, proposals, namespace=namespace, first=first)
            if memory is not None:
                save_memory(revision.transaction, experiment_uid, memory)
            return stored

    def proposals(self, experiment_uid: str, *, limit: int | None = None) -> tuple[StoredProposal, ...]:
        """See `ResourceStore.proposals`."""
        with self._database.looking() as transaction:
            return read_proposals(transaction, experiment_uid, limit=limit)

    def memory(self, experiment_uid: str) -> bytes | None:
        """See `ResourceStore.memory`."""
        with self._database.looking() as transaction:
            return read_memory(transaction, experiment_uid)

    def create_trial(self, trial: Trial) -> Trial:
        """See `ResourceStore.create_trial`."""
        owner_uid = owner_uid_required(trial)
        with self._revising() as revision:
            existing = self._stored(revision.transaction, trial)
            if existing is None:
                return self._add(revision, trial)
            if owner_uid_of(existing) != owner_uid:
                raise foreign_trial(existing)
            return existing

    def active_trials(self, experiment_uid: str) -> tuple[Trial, ...]:
        """See `ResourceStore.active_trials`."""
        with self._database.looking() as transaction:
            return read_active(transaction, experiment_uid, parsed=self._parsed)

    def tally(self, experiment_uid: str) -> Tally:
        """See `ResourceStore.tally`."""
        with self._database.reading() as transaction:
            return read_tally(transaction, experiment_uid, parsed=self._parsed)

    def history(self, experiment_uid: str, *, since: str | None = None) -> HistoryDelta:
        """See `ResourceStore.history`."""
        with self._database.reading() as transaction:
            fetched = fetch_history(transaction, experiment_uid, since=since)
        return fetched.delta()

    def changes(self, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        """See `ResourceStore.changes`."""
        with self._database.reading() as transaction:
            state = StoreState(transaction)
            require_changes(since, dropped=state.dropped, newest=state.version)
            rows = transaction.all(_CHANGES, {"since": since, "most": limit})
        return tuple(Change(*row) for row in rows)

    def version(self) -> int:
        """See `ResourceStore.version`."""
        with self._database.looking() as transaction:
            return StoreState(transaction).version

    @contextmanager
    def _revising(self) -> Iterator[Revision]:
        with revising(self._database, self._changes_kept) as revision:
            yield revision
        for object_id, resource in revision.written.items():
            self._parsed.committed(object_id, resource)

    def _row(self, transaction: Transaction, resource: Resource) -> Row | None:
        kind, namespace, name = resource.key
        return transaction.first(_FIND, {"kind": kind, "namespace": namespace, "name": name})

    def _stored(self, transaction: Transaction, resource: R) -> R | None:
        row = self._row(transaction, resource)
        return None if row is None else self._parsed.of(type(resource), row)

    def _current(self, transaction: Transaction, given: R) -> tuple[Row, R]:
        row = self._row(transaction, given)
        require_version(given, None if row is None else str(row.resource_version))
        assert row is not None
        return row, self._parsed.of(type(given), row)

    def _add(self, revision: Revision, resource: R) -> R:
        version = revision.version + 1
        stored = born(resource, uid=self._new_uid(), version=version, created=self._clock.now())
        revision.log(stored.key, stored.metadata.uid, ADDED)
        columns = created_columns(stored, version=version)
        revision.transaction.change(_INSERT, columns)
        self._add_labels(revision.transaction, version, stored.metadata.labels)
        if isinstance(stored, Trial):
            experiment_uid = columns["owner_uid"]
            count_trial(revision.transaction, experiment_uid, columns["phase"], step=1)
            if not take_proposal(revision.transaction, experiment_uid, stored.metadata.name):
                note_restored(revision.transaction, experiment_uid, stored.metadata.name)
        revision.written[version] = stored
        return stored

    def _add_labels(self, transaction: Transaction, object_id: int, given: Mapping[str, str]) -> None:
        transaction.change_each(
            _ADD_LABELS,
            [{"object_id": object_id, "name": name, "value": value} for name, value in given.items()],
        )

    def _write_status(self, revision: Revision, resource: R, *, even_if_equal: bool = False) -> R:
        row, stored = self._current(revision.transaction, resource)
        if not even_if_equal and status_of(stored) == status_of(resource):
            return stored
        return self._replace(revision, row, stored, stored.but(status=status_of(resource)), is_spec=False)

    def _replace(self, revision: Revision, row: Row, old: R, new: R, *, is_spec: bool) -> R:
        version = revision.log(new.key, row.uid, MODIFIED)
        columns = derived_columns(new)
        columns |= {"object_id": row.id, "resource_version": version, "status": written(status_of(new))}
        columns["record_version"] = row.record_version
        if isinstance(old, Trial) and isinstance(new, Trial):
            if columns["phase"] != row.phase:
                move_trial(revision.transaction, row.owner_uid, old=row.phase, new=columns["phase"])
            if columns["phase"] != row.phase or alters_record(old, new):
                columns["record_version"] = version
        if is_spec:
            columns |= {
                "generation": new.metadata.generation,
                "head": head_of(new),
                "spec": written(spec_of(new)),
            }
            revision.transaction.change(_WRITE_SPEC, columns)
        else:
            del columns["number"]
            revision.transaction.change(_WRITE_STATUS, columns)
        stored = new.but(metadata=new.metadata.but(resource_version=str(version)))
        revision.written[row.id] = stored
        return stored


def _labelled(name: str, value: str) -> Select[tuple[int]]:
    return select(labels.c.object_id).where(labels.c.name == name, labels.c.value == value)
