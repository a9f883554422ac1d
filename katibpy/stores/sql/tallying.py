"""The tally of an Experiment: kept row by row, read by a few indexed queries."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, bindparam, case, delete, insert, or_, select, update

from katibpy.api.trial import Trial
from katibpy.core.phases import ACTIVE_PHASES, FINISHED_PHASES, TrialPhase
from katibpy.core.records import NAME_LIMIT, BestTrial, Tally, rank_of
from katibpy.stores.sql.parsed import ParsedResources
from katibpy.stores.sql.rows import READ
from katibpy.stores.sql.schema import objects, tallies
from katibpy.stores.sql.transaction import Transaction

_OWN = and_(objects.c.owner_uid == bindparam("experiment_uid"), objects.c.kind == "Trial")
_COUNT = (
    update(tallies)
    .where(
        tallies.c.experiment_uid == bindparam("experiment_uid_is"),
        tallies.c.phase == bindparam("phase_is"),
    )
    .values(count=tallies.c.count + bindparam("step"))
)
_MOVE = (
    update(tallies)
    .where(
        tallies.c.experiment_uid == bindparam("experiment_uid_is"),
        # An IN clause is written anew for every execution.
        or_(tallies.c.phase == bindparam("old"), tallies.c.phase == bindparam("new")),
    )
    .values(count=tallies.c.count + case((tallies.c.phase == bindparam("new"), 1), else_=-1))
)
_FIRST = insert(tallies)
_COUNTS = select(tallies.c.phase, tallies.c.count).where(
    tallies.c.experiment_uid == bindparam("experiment_uid"), tallies.c.count > 0
)
_CLEAR = delete(tallies).where(tallies.c.experiment_uid == bindparam("experiment_uid"))
_BEST = (
    select(*READ)
    .where(_OWN, objects.c.phase == bindparam("phase"), objects.c.rank.is_not(None))
    .order_by(objects.c.rank, objects.c.number, objects.c.id)
    .limit(1)
)
_NEWEST = (
    select(objects.c.name)
    .where(_OWN, objects.c.phase == bindparam("phase"))
    .order_by(objects.c.number.desc(), objects.c.id.desc())
    .limit(NAME_LIMIT)
)
_ACTIVE = (
    select(*READ)
    .where(_OWN, or_(*(objects.c.phase == phase.value for phase in ACTIVE_PHASES)))
    .order_by(objects.c.number, objects.c.id)
)


def count_trial(transaction: Transaction, experiment_uid: str, phase: str, *, step: int) -> None:
    """Counts one Trial more or less in a phase."""
    asked = {"experiment_uid_is": experiment_uid, "phase_is": phase, "step": step}
    if transaction.change(_COUNT, asked) == 0:
        transaction.change(_FIRST, {"experiment_uid": experiment_uid, "phase": phase, "count": step})


def move_trial(transaction: Transaction, experiment_uid: str, *, old: str, new: str) -> None:
    """Counts one Trial less in a phase and one more in another."""
    asked = {"experiment_uid_is": experiment_uid, "old": old, "new": new}
    if transaction.change(_MOVE, asked) < 2:
        transaction.change(_FIRST, {"experiment_uid": experiment_uid, "phase": new, "count": 1})


def clear_tally(transaction: Transaction, experiment_uid: str) -> None:
    """Forgets the counts of an Experiment that is gone."""
    transaction.change(_CLEAR, {"experiment_uid": experiment_uid})


def read_counts(transaction: Transaction, experiment_uid: str) -> dict[TrialPhase, int]:
    """Number of Trials by phase."""
    rows = transaction.all(_COUNTS, {"experiment_uid": experiment_uid})
    return {TrialPhase(phase): count for phase, count in rows}


def read_tally(transaction: Transaction, experiment_uid: str, *, parsed: ParsedResources) -> Tally:
    """The tally; phases without Trials cost no query."""
    counts = read_counts(transaction, experiment_uid)
    newest: dict[TrialPhase, tuple[str, ...]] = {}
    for phase in FINISHED_PHASES:
        if phase in counts:
            names = transaction.scalars(_NEWEST, {"experiment_uid": experiment_uid, "phase": phase.value})
            newest[phase] = tuple(reversed(names))
    return Tally(counts=counts, best=_read_best(transaction, experiment_uid, counts, parsed), newest=newest)


def read_active(
    transaction: Transaction, experiment_uid: str, *, parsed: ParsedResources
) -> tuple[Trial, ...]:
    """Trials that have not ended, in creation order."""
    rows = transaction.all(_ACTIVE, {"experiment_uid": experiment_uid})
    return tuple(parsed.of(Trial, row) for row in rows)


def _read_best(
    transaction: Transaction, experiment_uid: str, phases: Iterable[TrialPhase], parsed: ParsedResources
) -> BestTrial | None:
    for phase in (TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED):
        if phase not in phases:
            continue
        row = transaction.first(_BEST, {"experiment_uid": experiment_uid, "phase": phase.value})
        if row is None:
            continue
        trial = parsed.of(Trial, row)
        loss, observation = rank_of(trial), trial.status.observation
        if loss is not None and observation is not None:
            return BestTrial(
                name=trial.metadata.name,
                number=trial.spec.number or 0,
                loss=loss,
                assignments=trial.spec.parameter_assignments,
                observation=observation,
            )
    return None
