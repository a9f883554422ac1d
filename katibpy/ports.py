"""Every seam of katibpy on one page: what the controller needs from the world.

Adapters implement these protocols in packages that do not know each other nor the controller; `app`
joins them. Every call is idempotent by name and owner uid, so a plan may be performed twice. Unless a
method says otherwise, implementations may be called from several threads at once, raise `StoreError`,
`ServiceError` or `RunnerError` of `katibpy.errors`, and never return half a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.endpoints import Endpoint
from katibpy.core.records import HistoryDelta, MetricSummary, ObservedValue, StoredProposal, Tally
from katibpy.core.runs import CollectionState, RunState
from katibpy.errors import FieldError

if TYPE_CHECKING:
    # It brings NumPy along, which those who only read a store need not load.
    from katibpy.algo.algorithm import Reply

Key: TypeAlias = tuple[str, str, str]
"""`(kind, namespace, name)` of a resource."""

R = TypeVar("R", bound=Resource)


class Clock(Protocol):
    """Time, so that tests and simulations can make their own."""

    def now(self) -> datetime:
        """The current moment, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a store's change log.

    Attributes:
        version: the store-wide resource version of the change.
        kind: kind of the object.
        namespace: its namespace.
        name: its name.
        uid: its uid.
        type: `ADDED`, `MODIFIED` or `DELETED`.
    """

    version: int
    kind: str
    namespace: str
    name: str
    uid: str
    type: str


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Part of a list.

    Attributes:
        items: objects in creation order.
        next: hand it back as `after` to get the next page; None at the end.
        version: store version that the list reflects; a watch may begin there.
    """

    items: tuple[R, ...]
    next: str | None
    version: int


class ResourceStore(Protocol):
    """The truth: Experiments, Suggestions, Trials, proposals and memories.

    A resource handed to `replace_*` must carry the `resourceVersion` it was read with; `Conflict` is
    raised when the stored one differs. All methods are atomic.
    """

    def create(self, resource: R) -> R:
        """Stores an Experiment or Suggestion; sets uid, generation 1, versions and creation time.

        Raises:
            AlreadyExists: one of that kind, namespace and name exists (also while it is being deleted).
        """
        ...

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """The object, or None."""
        ...

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
        """Objects in creation order, those that fit every filter given.

        `phases` are values of TrialPhase or ExperimentPhase; `is_deleting` asks for the deletion mark.
        """
        ...

    def replace_spec(self, resource: R) -> R:
        """Writes spec, labels and annotations, not the status; generation grows when the spec differs."""
        ...

    def replace_status(self, resource: R) -> R:
        """Writes the status alone. A status equal to the stored one changes nothing, not even the version.

        For a Trial the tally and the history follow in the same transaction.
        """
        ...

    def delete(self, kind: type[Resource], namespace: str, name: str) -> bool:
        """Marks the object and all it owns with a deletion time; the controller ends and removes them.

        Returns:
            Whether there is such an object (marked before or now).
        """
        ...

    def remove(self, resource: Resource) -> None:
        """Takes an object out for good, with its proposals and memory; no-op when its uid is gone.

        An Experiment with Trials or a Suggestion left is not removed: `Conflict`.
        """
        ...

    def save_reply(
        self, suggestion: Suggestion, proposals: Sequence[TrialAssignment], *, memory: bytes | None
    ) -> Suggestion:
        """Saves one algorithm reply whole: proposals (numbered on), memory (None keeps the old) and status.

        The suggestion's `status.suggestionCount` counts all proposals ever saved, these included; the
        first of them gets number `suggestionCount - len(proposals)`.
        """
        ...

    def proposals(self, experiment_uid: str, *, limit: int | None = None) -> tuple[StoredProposal, ...]:
        """Proposals without a Trial, in order."""
        ...

    def memory(self, experiment_uid: str) -> bytes | None:
        """What the algorithm asked to be handed back."""
        ...

    def create_trial(self, trial: Trial) -> Trial:
        """Stores the Trial of a proposal (same name) and takes the proposal out, in one transaction.

        Returns the stored one when a Trial of that name and owner uid exists.

        Raises:
            AlreadyExists: a Trial of that name belongs to another owner.
        """
        ...

    def active_trials(self, experiment_uid: str) -> tuple[Trial, ...]:
        """Trials that have not ended, in creation order."""
        ...

    def tally(self, experiment_uid: str) -> Tally:
        """Counts, best and newest names; the cost does not grow with the number of trials."""
        ...

    def history(self, experiment_uid: str, *, since: str | None = None) -> HistoryDelta:
        """What changed since a token of an earlier call; everything for None or an unknown token."""
        ...

    def changes(self, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        """Changes after a version, oldest first. Raises ChangesGone when some have been dropped."""
        ...

    def version(self) -> int:
        """The newest version."""
        ...


class ObservationStore(Protocol):
    """What trials reported, keyed by trial uid."""

    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        """Stores values; one whose `(trial_uid, sequence)` is stored already is skipped."""
        ...

    def summarize(self, trial_uid: str, metrics: Sequence[str]) -> Mapping[str, MetricSummary]:
        """Summaries of those of the metrics that have values."""
        ...

    def read(
        self,
        trial_uid: str,
        *,
        metric: str | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        after_sequence: int = -1,
        limit: int | None = None,
    ) -> tuple[ObservedValue, ...]:
        """Values ordered by (time, sequence); by sequence when `after_sequence` or `limit` is used."""
        ...

    def drop(self, trial_uid: str) -> None:
        """Forgets all values of a trial."""
        ...


@dataclass(frozen=True, slots=True)
class TrialOutputs:
    """Where a local run leaves what it says.

    Attributes:
        stdout: file that gets standard output and standard error.
        metrics_path: file or directory of a File or TensorFlowEvent collector, else None.
        metrics_offset: bytes of that file that were there before the run began.
        side_logs: pattern of the names of further outputs beside `stdout`; "" when there are none.
    """

    stdout: Path
    metrics_path: Path | None = None
    metrics_offset: int = 0
    side_logs: str = ""


class TrialRunner(Protocol):
    """Runs trials. A run belongs to the Trial's uid: equal names of other uids never share anything."""

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """What of the trial template this runner cannot honour, each by its path; () when all is well."""
        ...

    def start(self, trial: Trial) -> None:
        """Starts the run unless it was started; returns at once. What goes wrong shows in `observe`.

        It has a checkpoint directory as `spec.checkpoint_path` and `katibpy.api.lineage` say.
        """
        ...

    def stop(self, trial: Trial) -> None:
        """Begins to end the run and returns at once; `observe` says ENDED when nothing of it is left."""
        ...

    def observe(self, trial: Trial) -> RunState:
        """The run as it is now."""
        ...

    def outputs(self, trial: Trial) -> TrialOutputs | None:
        """Where the run leaves its output; None when it is not on this machine."""
        ...

    def remove(self, trial: Trial) -> None:
        """Frees all that an ended run holds; files too unless `spec.retainRun` or a policy keeps them."""
        ...

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key whenever its run may have changed; from any thread.

        It is told at once of every run there is that holds something: the controller that had to release it
        may have been killed.
        """
        ...

    def close(self, *, stop_runs: bool) -> None:
        """Ends the runner. With `stop_runs`, ends all runs and withdraws them: they can be started again."""
        ...


class MetricsCollector(Protocol):
    """Reads what runs write and ships it to the ObservationStore. Takes no decision."""

    def attach(self, trial: Trial, outputs: TrialOutputs | None) -> None:
        """Begins to follow the trial's output; no-op when it does already."""
        ...

    def finish(self, trial: Trial) -> None:
        """The run has ended: read the rest. `observe` says when that is done."""
        ...

    def observe(self, trial: Trial) -> CollectionState:
        """How far it is."""
        ...

    def detach(self, trial: Trial) -> None:
        """Forgets the trial."""
        ...

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key when it is drained or its objective has new values."""
        ...

    def close(self) -> None:
        """Stops all following."""
        ...


class HistorySource(Protocol):
    """An Experiment's history, read when it is needed."""

    def read(self, since: str | None) -> HistoryDelta:
        """What changed since the token; everything for None."""
        ...


@dataclass(frozen=True, slots=True)
class SuggestionCall:
    """One request to an algorithm service.

    Attributes:
        experiment: with the settings that earlier replies gave merged into `spec.algorithm`.
        history: finished, active and proposed, as far as the algorithm wants it.
        count: how many proposals are wanted now.
        total: how many there will be in all after this reply.
        memory: what the last saved reply asked to be handed back.
        timeout_seconds: how long the call may take.
    """

    experiment: Experiment
    history: HistorySource
    count: int
    total: int
    memory: bytes | None
    timeout_seconds: float


class SuggestionGateway(Protocol):
    """Reaches the algorithm service of an Experiment, wherever it is."""

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        """Asks the service whether it accepts settings and search space.

        Raises:
            InvalidSettings: it does not; final.
            ServiceError: it could not answer; try again.
        """
        ...

    def suggest(self, call: SuggestionCall) -> Reply:
        """Asks for proposals; the call is safe to repeat.

        Raises:
            InvalidSettings: the service refuses the Experiment; final.
            ServiceError: it could not answer, or its answer breaks the contract; try again.
        """
        ...

    def forget(self, experiment_uid: str) -> None:
        """The Experiment asks no more, at least for now: drop what is kept for it, end what runs for it."""
        ...


class StoppingGateway(Protocol):
    """Reaches the early stopping service of an Experiment."""

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        """Like `SuggestionGateway.validate`."""
        ...


class Launcher(Protocol):
    """Starts algorithm services and keeps them alive."""

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float, experiment_uid: str = "") -> Endpoint:
        """Where the algorithm is served for an Experiment; starts the service when it is not running.

        Raises:
            UnknownName: no such algorithm.
            ServiceUnavailable: it does not come up (it is retried with backoff); the message has its
                last output.
        """
        ...

    def release(self, experiment_uid: str) -> None:
        """The Experiment asks no more: ends what was started for it alone; no-op when there is nothing."""
        ...

    def close(self) -> None:
        """Ends every service it started."""
        ...
