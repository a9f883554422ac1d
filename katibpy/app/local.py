"""The local engine: store, controller, runner, collector and algorithm service of one state directory."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from katibpy.api.encode import to_dict
from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.trial import Trial
from katibpy.api.validate_update import BUDGET_FIELDS, validate_update
from katibpy.app.admission import Admitted, Check
from katibpy.app.clock import SystemClock
from katibpy.app.configuration import Configuration, read_configuration
from katibpy.app.execution import local_execution
from katibpy.app.housekeeping import Housekeeping, Retention, TidyRunner, removed_by
from katibpy.app.interruption import mark_interrupted
from katibpy.app.last_runs import note_run
from katibpy.app.settings_check import refuse_what_algorithms_refuse
from katibpy.app.state import CHECKPOINTS_NAME, TRIALS_NAME
from katibpy.collectors.catalog import check_collectable
from katibpy.collectors.tail import LocalCollector
from katibpy.controller.adapters import Adapters
from katibpy.controller.loop import Controller
from katibpy.core.phases import experiment_phase
from katibpy.core.retention import KeepTrials
from katibpy.errors import (
    Conflict,
    FieldError,
    InvalidResource,
    RunnerError,
    StoreError,
)
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.launchers.spare_child import SpareChild
from katibpy.ports import Launcher, ObservationStore, ResourceStore
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.runners.devices import GPUS_VARIABLE
from katibpy.runners.execution import Execution
from katibpy.runners.free_disk import FreeDisk
from katibpy.runners.local import OUTPUT_NAME, LocalRunner, directory_of
from katibpy.runners.slots import Slots, slots_for
from katibpy.stores.state_directory import StateDirectory

logger = logging.getLogger(__name__)

DEFAULT_STATE_DIRECTORY = Path(".katib")


class Submitted(StrEnum):
    """What handing in an Experiment came to."""

    CREATED = "created"
    RESUMED = "resumed"
    """The same spec is stored and not finished."""
    FINISHED = "finished"
    """The same spec is stored and has ended; there is nothing to run."""
    EDITED = "edited"
    """The budget was changed; the Experiment goes on with it."""
    REPLACED = "replaced"
    """The old one and all its trials were removed first."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An Experiment that was handed in.

    Attributes:
        experiment: as it is stored now.
        outcome: what handing it in came to.
        changed: paths of the budget fields that were edited.
    """

    experiment: Experiment
    outcome: Submitted
    changed: tuple[str, ...] = ()


def local_slots(gpus: str | None = None) -> Slots:
    """What trials on this machine may be given.

    Args:
        gpus: `auto`, `none`, or numbers or uids with commas; what `KATIB_GPUS` says when not given.

    Raises:
        InputError: the words mean no devices of this machine.
    """
    return slots_for(gpus or os.environ.get(GPUS_VARIABLE, ""), os.environ)


def local_checks(slots: Slots | None = None, execution: Execution | None = None) -> tuple[Check, ...]:
    """What this machine's runner and collectors refuse, for admission without an engine.

    Args:
        slots: what trials may be given; see `local_slots`.
        execution: how trials are run; as processes unless given.
    """
    known = slots or local_slots()
    check_runnable = (execution or local_execution()).check

    def check_trial(experiment: Experiment) -> tuple[FieldError, ...]:
        return check_runnable(experiment) or known.check(experiment)

    return (check_trial, check_collectable)


class LocalEngine:
    """Runs Experiments of one state directory in this process. A context manager; holds the exclusive lock.

    Experiments that were not submitted to this engine are left alone, except that those marked for
    deletion are removed. `_lock` guards `_names`; `_news` is set after every reconciliation.

    Attributes:
        path: the state directory, absolute.
        resources: its resource store.
        observations: its observation store.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        stop_grace_seconds: float = 10.0,
        working_directory: Path | None = None,
        slots: Slots | None = None,
        housekeeping: Housekeeping | None = None,
        execution: Execution | None = None,
        configuration: Configuration | None = None,
        command: str = "",
        service: SpareChild | None = None,
    ) -> None:
        """Opens (or creates) the state directory and begins to start the algorithm service.

        Args:
            state_dir: where everything is kept.
            stop_grace_seconds: between SIGTERM and SIGKILL for trials that do not say.
            working_directory: of trials that name none; the current one unless given.
            slots: what trials may be given; see `local_slots`.
            housekeeping: what is kept of trials; all of it but the middle of huge outputs unless given.
            execution: how trials are run; as the configuration says unless given.
            configuration: of this machine; what the file in the state directory says unless given.
            command: what a user types to go on with the Experiments, for messages.
            service: an algorithm service that is being loaded already.

        Raises:
            InputError: `KATIB_GPUS` means no devices of this machine, or the configuration is wrong.
            StateDirectoryLocked: another engine works on it.
            StoreError: it cannot be opened.
        """
        slots = slots or local_slots()
        configuration = configuration or read_configuration(state_dir)
        execution = execution or local_execution(configuration, working_directory=working_directory)
        self._clock = clock = SystemClock()
        self.path = state_dir.absolute()
        self._directory = StateDirectory.claim(state_dir, clock)
        self.resources: ResourceStore = self._directory.resources
        self.observations: ObservationStore = self._directory.observations
        logs = self.path / "logs"
        own = ChildProcessLauncher(logs, spare=service)
        self._launcher: Launcher = own
        if configuration.algorithms:
            # Late: most configurations name none, and it brings more of gRPC along.
            from katibpy.app.plug_ins import with_plug_ins

            self._launcher = with_plug_ins(configuration, own, log_directory=logs)
        own.start()
        self._added = frozenset(configuration.algorithms)
        self._gateway = GrpcSuggestionGateway(self._launcher)
        housekeeping = housekeeping or Housekeeping()
        self._command = command
        root = self.path / TRIALS_NAME
        self._runner = LocalRunner(
            root,
            clock=clock,
            stop_grace_seconds=stop_grace_seconds,
            execution=execution,
            slots=slots,
            disk=FreeDisk(root, housekeeping.min_free_disk),
            checkpoints=self.path / CHECKPOINTS_NAME,
        )
        self._retention = Retention(self.resources, self._runner, root, housekeeping.keep_trials)
        self._collector = LocalCollector(self.observations, clock=clock, output_limit=housekeeping.log_limit)
        adapters = Adapters(
            store=self.resources,
            observations=self.observations,
            runner=TidyRunner(self._runner, self._retention),
            collector=self._collector,
            gateway=self._gateway,
            clock=clock,
        )
        self._lock = threading.Lock()
        self._names: set[tuple[str, str]] = set()
        self._news = threading.Event()
        self._controller = Controller(adapters, scope=self._is_submitted)
        self._controller.subscribe(self._news.set)
        self._is_started = False
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, admitted: Admitted, *, replace: bool = False) -> Submission:
        """Hands in an Experiment.

        Raises:
            InvalidResource: one of that name is stored with another spec, and more than its budget differs.
            RunnerError: what is to be replaced does not end.
        """
        experiment = admitted.experiment
        meta = experiment.metadata
        stored = self.resources.find(Experiment, meta.namespace, meta.name)
        outcome = Submitted.CREATED
        changed: tuple[str, ...] = ()
        if stored is not None and (replace or stored.metadata.deletion_timestamp is not None):
            self.resources.delete(Experiment, meta.namespace, meta.name)
            if not self.wait_removed(Experiment, meta.namespace, meta.name):
                raise RunnerError(
                    f"{meta.name} must be gone before it can start over, but trials of it still run:"
                    " end them (katib get trials), then run the file again"
                )
            outcome, stored = Submitted.REPLACED, None
        if stored is None:
            stored = self.resources.create(experiment)
        elif stored.spec == experiment.spec:
            is_over = experiment_phase(stored.status.conditions).is_finished
            outcome = Submitted.FINISHED if is_over else Submitted.RESUMED
        else:
            errors = validate_update(stored, experiment)
            if errors:
                raise InvalidResource(admitted.document.located(errors))
            changed = _edited_fields(stored, experiment)
            try:
                stored = self.resources.replace_spec(stored.but(spec=experiment.spec))
            except Conflict:
                return self.submit(admitted)  # it runs, and its status has just been written
            outcome = Submitted.EDITED
        self.resume(meta.namespace, meta.name)
        return Submission(stored, outcome, changed)

    def refuse(self, admitted: Admitted, *, replace: bool = False, timeout_seconds: float = 30.0) -> None:
        """Asks the algorithm of a new Experiment what it has against it, before it is handed in.

        One that is stored has been asked about, unless it is to be replaced. A service that cannot answer by
        then is asked again while the Experiment runs, and so is one of the configuration, which may be
        started for a stored Experiment only.

        Raises:
            InvalidResource: the algorithm refuses its settings or the search space.
        """
        experiment = admitted.experiment
        algorithm = experiment.spec.algorithm
        if algorithm is not None and algorithm.algorithm_name in self._added:
            return
        if not replace and self.resources.find(Experiment, *experiment.key[1:]) is not None:
            return
        refuse_what_algorithms_refuse(self._gateway, admitted, timeout_seconds=timeout_seconds)

    def resume(self, namespace: str, name: str) -> None:
        """Takes up an Experiment that is stored, as if it had been submitted again."""
        experiment = self.resources.find(Experiment, namespace, name)
        if experiment is not None:
            self._retention.sweep(experiment)
            note_run(self.path, experiment, command=self._command)
        with self._lock:
            self._names.add((namespace, name))
        if self._is_started:
            # Its trials were passed by when the controller started.
            self._controller.resync()

    def has(self, namespace: str, name: str) -> bool:
        """Whether the Experiment was submitted to this engine."""
        return self._is_submitted(namespace, name)

    def start(self) -> None:
        """Starts the controller; no-op when it runs."""
        if not self._is_started:
            self._is_started = True
            self._controller.start()

    def is_settled(self) -> bool:
        """Whether every submitted Experiment has ended and nothing of it runs any more."""
        if not self._controller.queue.is_idle():
            return False  # and spared the questions to the store
        for namespace, name in self._submitted():
            experiment = self.resources.find(Experiment, namespace, name)
            if experiment is None:
                continue
            if not experiment_phase(experiment.status.conditions).is_finished:
                return False
            if self.resources.active_trials(experiment.metadata.uid or ""):
                return False
        return self._controller.queue.is_idle()

    def wait(self, timeout_seconds: float) -> bool:
        """Blocks until all is settled; False at the timeout."""
        return self.wait_until(self.is_settled, timeout_seconds)

    def wait_until(self, is_reached: Callable[[], bool], timeout_seconds: float) -> bool:
        """Blocks until a condition holds, which is looked at whenever something happened.

        Returns:
            False at the timeout.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._news.clear()
            if is_reached():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            # The event tells of our own reconciliations; the cap covers what other processes wrote.
            self._news.wait(min(left, 0.25))

    def wait_removed(
        self, kind: type[Resource], namespace: str, name: str, *, timeout_seconds: float = 120.0
    ) -> bool:
        """Blocks until an object marked for deletion is gone; False at the timeout. Starts the controller."""
        self.start()
        self._controller.resync()
        return self.wait_until(lambda: self.resources.find(kind, namespace, name) is None, timeout_seconds)

    def delete(self, kind: type[Resource], namespace: str, name: str) -> bool:
        """Marks an object for deletion; False when there is none. See `wait_removed`."""
        return self.resources.delete(kind, namespace, name)

    def log_path(self, trial: Trial) -> Path:
        """Where the trial's output goes; the file is there once it has started."""
        return directory_of(trial, self.path / TRIALS_NAME) / OUTPUT_NAME

    def removed_by(self, trial: Trial) -> KeepTrials | None:
        """As `State.removed_by`."""
        return removed_by(trial, self.path / TRIALS_NAME)

    def close(self, *, kill: bool = False) -> None:
        """Stops what runs and withdraws it, so that a later engine starts it again; then lets everything go.

        Does nothing the second time.

        Args:
            kill: end the trials at once instead of giving them their grace period.
        """
        if self._is_closed:
            return
        self._controller.stop(cancel=self._hang_up)
        self._settle()
        if kill:
            self._runner.stop_grace_seconds = 0.0
        self._runner.close(stop_runs=True)
        self._collector.close()
        mark_interrupted(self.resources, self._submitted(), clock=self._clock)
        self._directory.close()
        self._is_closed = True

    def _settle(self) -> None:
        for namespace, name in self._submitted():
            try:
                experiment = self.resources.find(Experiment, namespace, name)
                if experiment is not None:
                    self._retention.settle(experiment)
            except (OSError, StoreError) as error:
                # The next run of the Experiment finds them again.
                logger.warning("%s/%s: checkpoints cannot be removed now: %s", namespace, name, error)

    def _hang_up(self) -> None:
        self._gateway.close()
        self._launcher.close()

    def _is_submitted(self, namespace: str, experiment_name: str) -> bool:
        with self._lock:
            return (namespace, experiment_name) in self._names

    def _submitted(self) -> tuple[tuple[str, str], ...]:
        with self._lock:
            return tuple(self._names)


def _edited_fields(old: Experiment, new: Experiment) -> tuple[str, ...]:
    before, after = to_dict(old.spec), to_dict(new.spec)
    return tuple(f"spec.{field}" for field in BUDGET_FIELDS if before.get(field) != after.get(field))
