"""What the store suites put into a store, and how they compare what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue, OwnerReference, Resource
from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.phases import FINISHED_PHASES, TrialPhase, trial_phase
from katibpy.core.records import NAME_LIMIT, BestTrial, StoredProposal, Tally, TrialRecord, rank_of, record_of
from katibpy.ports import ResourceStore
from katibpy.testing import builders

R = TypeVar("R", bound=Resource)

OpenStore: TypeAlias = Callable[[], AbstractContextManager[ResourceStore]]
"""Opens a store for one check or one process: an empty one, or the shared one, as the check says."""


class SteppingClock:
    """A clock that moves on by a second and a microsecond whenever it is read. Not thread-safe."""

    def __init__(self) -> None:
        self._reads = 0

    def now(self) -> datetime:
        """The next moment."""
        self._reads += 1
        return builders.MOMENT + timedelta(seconds=self._reads, microseconds=self._reads)

    def monotonic(self) -> float:
        """Seconds since the first moment."""
        return float(self._reads)


class BrokenStoreError(AssertionError):
    """A store did not do what the contract says; the message says what it was asked and what came back."""


def require(what: str, got: object, wanted: object) -> None:
    """Compares what a store gave with what it should give.

    Raises:
        BrokenStoreError: they differ.
    """
    if got != wanted:
        raise BrokenStoreError(f"{what} must be\n  {wanted!r}\ngot\n  {got!r}")


@contextmanager
def refusal(what: str, error: type[Exception]) -> Iterator[None]:
    """Expects an error of the type.

    Raises:
        BrokenStoreError: nothing was raised.
    """
    try:
        yield
    except error:
        return
    raise BrokenStoreError(f"{what} must raise {error.__name__}, got no error")


def add_experiment(store: ResourceStore, name: str = "tune", *, namespace: str = "default") -> Experiment:
    """Stores an Experiment that maximises `accuracy`."""
    return store.create(
        builders.experiment(
            name, namespace=namespace, objective=builders.maximize("accuracy", also=("loss",))
        )
    )


def add_suggestion(store: ResourceStore, owner: Experiment, *, made: int = 0) -> Suggestion:
    """Stores the Suggestion of an Experiment."""
    return store.create(builders.suggestion(owner, suggestion_count=made))


def reply_of(owner: Experiment, first: int, count: int) -> tuple[TrialAssignment, ...]:
    """So many proposals, numbered from `first` on."""
    return tuple(builders.proposal(owner, number).assignment for number in range(first, first + count))


def save(
    store: ResourceStore,
    suggestion: Suggestion,
    owner: Experiment,
    count: int,
    *,
    memory: bytes | None = None,
) -> Suggestion:
    """Saves a reply of so many proposals."""
    made = suggestion.status.suggestion_count
    grown = suggestion.but(status=suggestion.status.but(suggestion_count=made + count))
    return store.save_reply(grown, reply_of(owner, made, count), memory=memory)


def trial_for(owner: Experiment, number: int) -> Trial:
    """The Trial of the proposal with that number, as a controller would hand it in."""
    return builders.trial(owner, number)


def with_phase(trial: Trial, phase: TrialPhase, accuracy: object = None) -> Trial:
    """The Trial in another phase, with an observation when a value is given."""
    metrics = None if accuracy is None else {"accuracy": accuracy, "loss": "0.5"}
    status = trial.status.but(
        conditions=builders.trial_conditions(phase),
        completion_time=None if phase.is_active else builders.moment(61.25),
        observation=None if metrics is None else builders.observation(metrics),
    )
    return trial.but(status=status)


def finish(
    store: ResourceStore,
    owner: Experiment,
    number: int,
    accuracy: object,
    phase: TrialPhase = TrialPhase.SUCCEEDED,
) -> Trial:
    """Stores a Trial that has ended."""
    return store.replace_status(with_phase(store.create_trial(trial_for(owner, number)), phase, accuracy))


def all_of(store: ResourceStore, kind: type[R], owner_uid: str) -> tuple[R, ...]:
    """Every object of a kind that an Experiment owns."""
    return store.list(kind, owner_uid=owner_uid).items


def recount(trials: Sequence[Trial]) -> Tally:
    """The tally of Trials, counted one by one."""
    counts: dict[TrialPhase, int] = {}
    finished: dict[TrialPhase, list[Trial]] = {}
    for trial in sorted(trials, key=_creation):
        phase = trial_phase(trial.status.conditions)
        counts[phase] = counts.get(phase, 0) + 1
        if phase in FINISHED_PHASES:
            finished.setdefault(phase, []).append(trial)
    newest = {
        phase: tuple(trial.metadata.name for trial in ended[-NAME_LIMIT:])
        for phase, ended in finished.items()
    }
    return Tally(counts=counts, best=_best(finished), newest=newest)


def records(trials: Sequence[Trial], proposals: Sequence[StoredProposal]) -> dict[str, TrialRecord]:
    """The history as it should be, by name."""
    found = {trial.metadata.name: record_of(trial) for trial in trials}
    for proposal in proposals:
        found[proposal.assignment.name] = TrialRecord(
            name=proposal.assignment.name,
            uid="",
            number=proposal.number,
            assignments=proposal.assignment.parameter_assignments,
            labels=proposal.assignment.labels,
            phase=None,
        )
    return found


def require_consistent(store: ResourceStore, experiment_uid: str) -> None:
    """Holds everything a store counts against a count of what it lists.

    Raises:
        BrokenStoreError: they differ.
    """
    trials = all_of(store, Trial, experiment_uid)
    tally = store.tally(experiment_uid)
    wanted = recount(trials)
    require("tally.counts", {phase: n for phase, n in tally.counts.items() if n}, dict(wanted.counts))
    require("tally.best", tally.best, wanted.best)
    require(
        "tally.newest", {phase: names for phase, names in tally.newest.items() if names}, dict(wanted.newest)
    )
    active = sorted(
        (trial for trial in trials if trial_phase(trial.status.conditions).is_active), key=_creation
    )
    require("active_trials", store.active_trials(experiment_uid), tuple(active))
    history = store.history(experiment_uid)
    known = records(trials, store.proposals(experiment_uid))
    require("history", {record.name: record for record in history.records}, known)
    require("history.size", history.size, len(known))
    numbers = [record.number for record in history.records]
    require("the order of the history", numbers, sorted(numbers))


def owned_by(owner: Resource) -> OwnerReference:
    """A reference to the owner."""
    meta = owner.metadata
    return OwnerReference(kind=owner.kind, name=meta.name, uid=meta.uid or "", controller=True)


def assignment(name: str, **values: object) -> TrialAssignment:
    """A proposal under a name of its own."""
    pairs = tuple(NameValue(name=key, value=str(value)) for key, value in values.items())
    return TrialAssignment(name=name, parameter_assignments=pairs)


def _creation(trial: Trial) -> tuple[int, datetime]:
    return trial.spec.number or 0, trial.metadata.creation_timestamp or builders.MOMENT


def _best(finished: dict[TrialPhase, list[Trial]]) -> BestTrial | None:
    for phase in (TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED):
        ranked = [(rank_of(trial), trial) for trial in finished.get(phase, ())]
        numbers = [(rank, trial) for rank, trial in ranked if rank is not None]
        if numbers:
            loss, best = min(numbers, key=lambda entry: (entry[0], entry[1].spec.number or 0))
            observation = best.status.observation
            if observation is not None:
                return BestTrial(
                    name=best.metadata.name,
                    number=best.spec.number or 0,
                    loss=loss,
                    assignments=best.spec.parameter_assignments,
                    observation=observation,
                )
    return None
