"""Lines of the history and the tokens that name its states, the same in every store."""

from __future__ import annotations

from collections.abc import Iterable

from katibpy.api.trial import Trial
from katibpy.core.records import StoredProposal, TrialRecord, record_of


def alters_record(old: Trial, new: Trial) -> bool:
    """Whether the Trial's line in the history reads differently now; its phase is left to the caller."""
    if old.spec is not new.spec and old.spec != new.spec:
        return True
    before, after = old.status, new.status
    return (
        before.start_time != after.start_time
        or before.completion_time != after.completion_time
        or before.observation != after.observation
    )


def records_in_order(trials: Iterable[Trial], proposals: Iterable[StoredProposal]) -> tuple[TrialRecord, ...]:
    """History lines of Trials and proposals, in creation order; no Trial is held on to."""
    records = [record_of(trial) for trial in trials]
    records += [proposal_record(proposal) for proposal in proposals]
    # Names are the same in every store, so records without a number have the same order everywhere.
    records.sort(key=lambda record: (record.number, record.name))
    return tuple(records)


def proposal_record(proposal: StoredProposal) -> TrialRecord:
    """The history line of a proposal."""
    return TrialRecord(
        name=proposal.assignment.name,
        uid="",
        number=proposal.number,
        assignments=proposal.assignment.parameter_assignments,
        labels=proposal.assignment.labels,
        phase=None,
    )


def base_version(since: str | None, *, epoch: str, newest: int) -> int | None:
    """The version that a history token stands for; None when there is none or this store never gave it."""
    if since is None:
        return None
    given_epoch, _, version = since.partition(":")
    if given_epoch != epoch or not version.isdecimal() or int(version) > newest:
        return None
    return int(version)


def history_token(epoch: str, version: int) -> str:
    """The token of a history as of a version."""
    return f"{epoch}:{version}"
