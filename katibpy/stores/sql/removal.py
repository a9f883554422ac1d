"""Marking objects as deleted, and taking them out for good."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from katibpy.api.model import Resource
from katibpy.errors import Conflict
from katibpy.ports import Key
from katibpy.stores.resource_rules import DELETED, MODIFIED, told
from katibpy.stores.sql.history_rows import clear_removed, note_removed
from katibpy.stores.sql.proposal_rows import withdraw_proposals
from katibpy.stores.sql.revision import Revision
from katibpy.stores.sql.rows import seconds
from katibpy.stores.sql.schema import objects
from katibpy.stores.sql.tallying import clear_tally, count_trial
from katibpy.stores.sql.transaction import Row

_PLACE = (
    objects.c.id,
    objects.c.kind,
    objects.c.namespace,
    objects.c.name,
    objects.c.uid,
    objects.c.deleted_at,
)
_ONE = select(*_PLACE).where(
    objects.c.kind == bindparam("kind"),
    objects.c.namespace == bindparam("namespace"),
    objects.c.name == bindparam("name"),
)
_OWNED = select(*_PLACE).where(objects.c.owner_uid == bindparam("uid")).order_by(objects.c.id)
_OWNED_COUNT = select(func.count()).where(objects.c.owner_uid == bindparam("uid"))
_MARK = (
    update(objects)
    .where(objects.c.id == bindparam("object_id"))
    .values(deleted_at=bindparam("deleted_at"), resource_version=bindparam("resource_version"))
)
_REMOVE = delete(objects).where(objects.c.id == bindparam("object_id"))


def mark_deleted(revision: Revision, key: Key, *, now: datetime) -> bool:
    """Marks an object and all it owns; those that are marked already keep their time.

    Returns:
        Whether there is such an object.
    """
    kind, namespace, name = key
    found = revision.transaction.all(_ONE, {"kind": kind, "namespace": namespace, "name": name})
    is_there = bool(found)
    marks: list[dict[str, Any]] = []
    while found:
        for row in found:
            if row.deleted_at is None:
                version = revision.log((row.kind, row.namespace, row.name), row.uid, MODIFIED)
                marks.append({"object_id": row.id, "deleted_at": seconds(now), "resource_version": version})
        # Trials own nothing, and there are many of them.
        owners = [row.uid for row in found if row.kind != "Trial"]
        found = [row for uid in owners for row in revision.transaction.all(_OWNED, {"uid": uid})]
    revision.transaction.change_each(_MARK, marks)
    return is_there


def remove_object(revision: Revision, resource: Resource, row: Row) -> None:
    """Takes an object out with all that is kept for it.

    Raises:
        Conflict: it still owns something.
    """
    transaction = revision.transaction
    owned = transaction.scalar(_OWNED_COUNT, {"uid": row.uid}) or 0
    if owned:
        raise Conflict(
            f"{told(resource)} must own nothing when it is removed, got {owned} objects: remove them first"
        )
    version = revision.log(resource.key, row.uid, DELETED)
    transaction.change(_REMOVE, {"object_id": row.id})
    if resource.kind == "Experiment":
        withdraw_proposals(transaction, row.uid, version=version)
        clear_removed(transaction, row.uid)
        clear_tally(transaction, row.uid)
    elif resource.kind == "Suggestion" and row.owner_uid is not None:
        withdraw_proposals(transaction, row.owner_uid, version=version)
    elif resource.kind == "Trial" and row.owner_uid is not None:
        count_trial(transaction, row.owner_uid, row.phase, step=-1)
        note_removed(transaction, row.owner_uid, resource.metadata.name, version=version)
