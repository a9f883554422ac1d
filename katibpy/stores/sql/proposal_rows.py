"""Proposals and memories of Experiments, written with the reply that brought them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BindParameter, bindparam, delete, insert, select, update

from katibpy.api.suggestion import TrialAssignment
from katibpy.stores.resource_rules import taken_name
from katibpy.stores.sql.history_rows import note_removed, note_restored
from katibpy.stores.sql.revision import Revision
from katibpy.stores.sql.rows import written
from katibpy.stores.sql.schema import memories, objects, proposals
from katibpy.stores.sql.transaction import Transaction

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
_TRIAL_OWNER = select(objects.c.owner_uid).where(
    objects.c.kind == "Trial",
    objects.c.namespace == bindparam("namespace"),
    objects.c.name == bindparam("name"),
)
_WAITING = select(proposals.c.number).where(
    proposals.c.experiment_uid == _EXPERIMENT, proposals.c.name == bindparam("name")
)


def save_proposals(
    revision: Revision, experiment_uid: str, saved: Sequence[TrialAssignment], *, namespace: str, first: int
) -> None:
    """Adds proposals, numbered from `first` on; their Trials will be in the namespace.

    Raises:
        AlreadyExists: a name is used by a proposal or Trial of the Experiment.
    """
    if not saved:
        return
    transaction = revision.transaction
    for proposal in saved:
        asked = {"experiment_uid": experiment_uid, "name": proposal.name}
        # Asked for by full name: an Experiment has too many Trials to look through.
        owner_uid = transaction.scalar(_TRIAL_OWNER, {"namespace": namespace, "name": proposal.name})
        if owner_uid == experiment_uid or transaction.scalar(_WAITING, asked) is not None:
            raise taken_name(proposal.name)
        note_restored(transaction, experiment_uid, proposal.name)
    transaction.change_each(
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


def take_proposal(transaction: Transaction, experiment_uid: str, name: str) -> bool:
    """Takes out the proposal that became a Trial; tells whether it was there."""
    return transaction.change(_TAKE, {"experiment_uid": experiment_uid, "name": name}) > 0


def withdraw_proposals(transaction: Transaction, experiment_uid: str, *, version: int) -> None:
    """Takes out all proposals and the memory of an Experiment whose Suggestion is gone."""
    for name in transaction.scalars(_NAMES, {"experiment_uid": experiment_uid}):
        note_removed(transaction, experiment_uid, name, version=version)
    transaction.change(_CLEAR, {"experiment_uid": experiment_uid})
    transaction.change(_FORGET, {"experiment_uid": experiment_uid})


def save_memory(transaction: Transaction, experiment_uid: str, memory: bytes) -> None:
    """Keeps a memory instead of the one before."""
    remembered = {"experiment_uid_is": experiment_uid, "content": memory}
    if transaction.change(_REMEMBER_NEW, remembered) == 0:
        transaction.change(_REMEMBER, {"experiment_uid": experiment_uid, "content": memory})


def read_memory(transaction: Transaction, experiment_uid: str) -> bytes | None:
    """The memory, None when there is none."""
    memory: bytes | None = transaction.scalar(_MEMORY, {"experiment_uid": experiment_uid})
    return memory
