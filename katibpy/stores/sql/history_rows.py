"""The history of an Experiment: Trials, proposals and what is gone, read by the version of their change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, bindparam, delete, func, insert, select

from katibpy.api.model import ObjectMeta
from katibpy.api.suggestion import TrialAssignment
from katibpy.api.trial import Trial, TrialSpec, TrialStatus
from katibpy.core.records import HistoryDelta, StoredProposal
from katibpy.stores.history_records import base_version, history_token, records_in_order
from katibpy.stores.sql.revision import StoreState
from katibpy.stores.sql.schema import objects, proposals, removals
from katibpy.stores.sql.tallying import read_counts
from katibpy.stores.sql.transaction import Row, Transaction

_EXPERIMENT: BindParameter[str] = bindparam("experiment_uid")
_TRIALS = select(
    objects.c.name, objects.c.uid, objects.c.record_version, objects.c.spec, objects.c.status
).where(objects.c.owner_uid == _EXPERIMENT, objects.c.record_version > bindparam("base"))
_ALL_PROPOSALS = select(proposals.c.number, proposals.c.assignment, proposals.c.record_version).where(
    proposals.c.experiment_uid == _EXPERIMENT
)
_NEW_PROPOSALS = _ALL_PROPOSALS.where(proposals.c.record_version > bindparam("base"))
_PROPOSALS = _ALL_PROPOSALS.order_by(proposals.c.number)
_SOME_PROPOSALS = _PROPOSALS.limit(bindparam("most"))
_PROPOSAL_COUNT = select(func.count()).where(proposals.c.experiment_uid == _EXPERIMENT)
_REMOVED = (
    select(removals.c.name, removals.c.version)
    .where(removals.c.experiment_uid == _EXPERIMENT, removals.c.version > bindparam("base"))
    .order_by(removals.c.version)
)
_REMOVE = insert(removals)
_RESTORE = delete(removals).where(
    removals.c.experiment_uid == _EXPERIMENT, removals.c.name == bindparam("name")
)
_CLEAR = delete(removals).where(removals.c.experiment_uid == _EXPERIMENT)


def note_removed(transaction: Transaction, experiment_uid: str, name: str, *, version: int) -> None:
    """Notes that the history line of a name is gone."""
    transaction.change(_REMOVE, {"experiment_uid": experiment_uid, "name": name, "version": version})


def note_restored(transaction: Transaction, experiment_uid: str, name: str) -> None:
    """Notes that there is a line of that name again."""
    transaction.change(_RESTORE, {"experiment_uid": experiment_uid, "name": name})


def clear_removed(transaction: Transaction, experiment_uid: str) -> None:
    """Forgets what is gone of an Experiment that is gone."""
    transaction.change(_CLEAR, {"experiment_uid": experiment_uid})


def read_proposals(
    transaction: Transaction, experiment_uid: str, *, limit: int | None = None
) -> tuple[StoredProposal, ...]:
    """Proposals without a Trial, in order."""
    if limit is None:
        rows = transaction.all(_PROPOSALS, {"experiment_uid": experiment_uid})
    else:
        rows = transaction.all(_SOME_PROPOSALS, {"experiment_uid": experiment_uid, "most": limit})
    return tuple(_proposal(row) for row in rows)


@dataclass(frozen=True, slots=True)
class FetchedHistory:
    """Rows of a history, fetched at one state of the store; reading them takes no database.

    Attributes:
        since: the token they are a difference to, None when they are everything.
        token: identifies the history that they lead to.
        trials: rows of Trials.
        proposals: rows of proposals.
        removed: names that are gone.
        size: number of lines of the whole history.
    """

    since: str | None
    token: str
    trials: Sequence[Row]
    proposals: Sequence[Row]
    removed: tuple[str, ...]
    size: int

    def delta(self) -> HistoryDelta:
        """The history lines of the rows."""
        return HistoryDelta(
            token=self.token,
            base=self.since,
            # One after the other: all Trials at once would take far more memory than their lines.
            records=records_in_order(map(_trial, self.trials), map(_proposal, self.proposals)),
            removed=self.removed,
            size=self.size,
        )


def fetch_history(transaction: Transaction, experiment_uid: str, *, since: str | None) -> FetchedHistory:
    """Fetches what `ResourceStore.history` answers with."""
    state = StoreState(transaction)
    base = base_version(since, epoch=state.epoch, newest=state.version)
    asked = {"experiment_uid": experiment_uid, "base": base or 0}
    trials = transaction.all(_TRIALS, asked)
    fresh = transaction.all(_NEW_PROPOSALS, asked)
    gone = transaction.all(_REMOVED, asked)
    versions = [row.record_version for row in (*trials, *fresh)] + [row.version for row in gone]
    waiting = transaction.scalar(_PROPOSAL_COUNT, {"experiment_uid": experiment_uid}) or 0
    return FetchedHistory(
        since=None if base is None else since,
        token=history_token(state.epoch, max(versions, default=base or 0)),
        trials=trials,
        proposals=fresh,
        removed=() if base is None else tuple(row.name for row in gone),
        size=sum(read_counts(transaction, experiment_uid).values()) + waiting,
    )


def _trial(row: Row) -> Trial:
    # As much of the Trial as its history line is made of.
    return Trial.model_construct(
        metadata=ObjectMeta.model_construct(name=row.name, uid=row.uid),
        spec=TrialSpec.model_validate_json(row.spec),
        status=TrialStatus.model_validate_json(row.status),
    )


def _proposal(row: Row) -> StoredProposal:
    return StoredProposal(number=row.number, assignment=TrialAssignment.model_validate_json(row.assignment))
