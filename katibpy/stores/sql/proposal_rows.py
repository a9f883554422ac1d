"""Proposals and memories of Experiments, written with the reply that brought them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from katibpy.api.suggestion import TrialAssignment
from katibpy.stores.resource_rules import taken_name
from katibpy.stores.sql.history_rows import note_removed
from katibpy.stores.sql.revision import Revision
from katibpy.stores.sql.rows import written
from katibpy.stores.sql.schema import memories, objects, proposals, removals

_EXPERIMENT: BindParameter[str] = bindparam("experiment_uid")
_ADD = insert(proposals)
_TAKE = delete(proposals).where(
    proposals.c.experiment_uid == _EXPERIMENT, proposals.c.name == bindparam("name")
)
_NAMES = (
    select(proposals.c.name).where(proposals.c.experiment_uid == _EXPERIMENT).order_by(proposals.c.number)
)
_CLEAR = delete(proposals).where(proposals.c.experiment_uid == _EXPERIMENT)
_MEMORY = select(memories.c.content).where(memories.c.experiment_uid == _EXPERIMENT)
_FORGET = delete(memories).where(memories.c.experiment_uid == _EXPERIMENT)
_REMEMBER = insert(memories)
_REMEMBER_NEW = (
    update(memories)
    .where(memories.c.experiment_uid == bindparam("experiment_uid_is"))
    .values(content=bindparam("content"))
)
_NAMES_AT_ONCE = 500


def save_proposals(
    revision: Revision, experiment_uid: str, saved: Sequence[TrialAssignment], *, namespace: str, first: int
) -> None:
    """Adds proposals, numbered from `first` on; their Trials will be in the namespace.

    Raises:
        AlreadyExists: a name is used by a proposal or Trial of the Experiment.
    """
    if not saved:
        return
    connection = revision.connection
    names = [proposal.name for proposal in saved]
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = names[start : start + _NAMES_AT_ONCE]
        # Asked for by full name: an Experiment has too many Trials to look through.
        trials = select(objects.c.name, objects.c.owner_uid).where(
            objects.c.kind == "Trial", objects.c.namespace == namespace, objects.c.name.in_(some)
        )
        taken = [name for name, owner_uid in connection.execute(trials) if owner_uid == experiment_uid]
        waiting = select(proposals.c.name).where(
            proposals.c.experiment_uid == experiment_uid, proposals.c.name.in_(some)
        )
        taken += connection.scalars(waiting)
        if taken:
            raise taken_name(taken[0])
        connection.execute(
            delete(removals).where(removals.c.experiment_uid == experiment_uid, removals.c.name.in_(some))
        )
    connection.execute(
        _ADD,
        [
            {
                "experiment_uid": experiment_uid,
                "number": number,
                "name": proposal.name,
                "record_version": revision.version,
                "assignment": written(proposal),
            }
            for number, proposal in enumerate(saved, start=first)
        ],
    )


def take_proposal(connection: Connection, experiment_uid: str, name: str) -> bool:
    """Takes out the proposal that became a Trial; tells whether it was there."""
    return connection.execute(_TAKE, {"experiment_uid": experiment_uid, "name": name}).rowcount > 0


def withdraw_proposals(connection: Connection, experiment_uid: str, *, version: int) -> None:
    """Takes out all proposals and the memory of an Experiment whose Suggestion is gone."""
    for name in connection.scalars(_NAMES, {"experiment_uid": experiment_uid}).all():
        note_removed(connection, experiment_uid, name, version=version)
    connection.execute(_CLEAR, {"experiment_uid": experiment_uid})
    connection.execute(_FORGET, {"experiment_uid": experiment_uid})


def save_memory(connection: Connection, experiment_uid: str, memory: bytes) -> None:
    """Keeps a memory instead of the one before."""
    found = connection.execute(_REMEMBER_NEW, {"experiment_uid_is": experiment_uid, "content": memory})
    if found.rowcount == 0:
        connection.execute(_REMEMBER, {"experiment_uid": experiment_uid, "content": memory})


def read_memory(connection: Connection, experiment_uid: str) -> bytes | None:
    """The memory, None when there is none."""
    return connection.scalar(_MEMORY, {"experiment_uid": experiment_uid})
