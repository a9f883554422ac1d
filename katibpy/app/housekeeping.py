"""What a local engine keeps of its trials, and how much of the disk they may take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.core.phases import trial_phase
from katibpy.core.retention import KeepTrials, keeps, may_continue
from katibpy.core.runs import RunPhase, RunState
from katibpy.errors import FieldError, StoreError
from katibpy.ports import Key, ResourceStore, TrialOutputs
from katibpy.runners.free_disk import DEFAULT_FLOOR, DiskFloor
from katibpy.runners.local import LocalRunner, directory_of, namespace_directory

logger = logging.getLogger(__name__)

DEFAULT_LOG_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """The settings.

    Attributes:
        keep_trials: whose files stay once they have ended.
        log_limit: bytes of the disk that the output of one trial may take; None for any number.
        min_free_disk: what must be free before a trial starts.
    """

    keep_trials: KeepTrials = KeepTrials.ALL
    log_limit: int | None = DEFAULT_LOG_LIMIT
    min_free_disk: DiskFloor = DEFAULT_FLOOR


class Retention:
    """Removes the files of trials that are not to be kept.

    What stays is decided anew each time, from the store. What it remembers, the trials that were the best and
    may not be any more, is found again in the directories when it begins anew. `_lock` guards `_kept` and is
    held while directories are taken away, so that no two threads decide about one.
    """

    def __init__(self, store: ResourceStore, runner: LocalRunner, root: Path, policy: KeepTrials) -> None:
        """Takes the directory of the runner's runs."""
        self._store = store
        self._runner = runner
        self._root = root
        self._policy = policy
        self._lock = threading.Lock()
        self._kept: dict[str, set[str]] = {}

    def sweep(self, experiment: Experiment) -> None:
        """Looks at all the Experiment's trials whose files are there, as after a crash or another policy."""
        if self._policy is KeepTrials.ALL:
            return
        uid, namespace = experiment.metadata.uid or "", experiment.metadata.namespace
        directory = namespace_directory(self._root, namespace)
        entries = list(directory.iterdir()) if directory.is_dir() else []
        with self._lock:
            best = self._best(uid)
            for entry in entries:
                trial = self._found(entry.name, experiment)
                if trial is not None and self._directory_of(trial) == entry:
                    self._judge(trial, uid, best)
        self.settle(experiment)

    def settle(self, experiment: Experiment) -> None:
        """Removes checkpoints that are not to be kept, if none can begin with them any more."""
        if self._policy is KeepTrials.ALL or may_continue(experiment):
            return
        uid = experiment.metadata.uid or ""
        with self._lock:
            best = self._best(uid)
            for name in self._runner.checkpoints.names_of(uid):
                trial = self._found(name, experiment)
                if trial is not None and not keeps(self._policy, trial, best=best):
                    self._runner.checkpoints.discard(trial)

    def _found(self, file_name: str, experiment: Experiment) -> Trial | None:
        """The trial of the Experiment that a directory is called after."""
        name = unquote(file_name.rpartition("-")[0])
        trial = self._store.find(Trial, experiment.metadata.namespace, name)
        is_own = trial is not None and _owner_uid(trial) == (experiment.metadata.uid or "")
        return trial if is_own else None

    def released(self, trial: Trial) -> None:
        """A trial has ended, and its run needs its files no longer."""
        if self._policy is KeepTrials.ALL or trial_phase(trial.status.conditions).is_active:
            return
        uid = _owner_uid(trial)
        with self._lock:
            best = self._best(uid)
            self._judge(trial, uid, best)
            for name in self._kept.get(uid, set()) - {best, trial.metadata.name}:
                former = self._store.find(Trial, trial.metadata.namespace, name)
                if former is None:
                    self._kept[uid].discard(name)
                else:
                    self._judge(former, uid, best)

    def _best(self, experiment_uid: str) -> str | None:
        best = self._store.tally(experiment_uid).best
        return None if best is None else best.name

    def _judge(self, trial: Trial, uid: str, best: str | None) -> None:
        names = self._kept.setdefault(uid, set())
        if keeps(self._policy, trial, best=best):
            if self._policy is KeepTrials.BEST and trial.metadata.name == best:
                names.add(trial.metadata.name)
            return
        names.discard(trial.metadata.name)
        if not self._directory_of(trial).is_dir():
            return
        self._note(trial, uid)
        self._runner.discard(trial)
        logger.debug("%s/%s: its files are removed", *trial.key[1:])

    def _note(self, trial: Trial, uid: str) -> None:
        """Before the first directory goes: whoever looks for one knows why it is not there."""
        note = _note_of(self._root, trial.metadata.namespace, uid)
        text = f"{self._policy.value}\n"
        if not note.exists() or note.read_text(encoding="ascii") != text:
            note.write_text(text, encoding="ascii")

    def _directory_of(self, trial: Trial) -> Path:
        return directory_of(trial, self._root)


class TidyRunner:
    """A `TrialRunner` that hands a trial to the retention once its run is let go of."""

    def __init__(self, runner: LocalRunner, retention: Retention) -> None:
        """Takes the runner that does all the rest."""
        self._runner = runner
        self._retention = retention

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """As the runner."""
        return self._runner.check(experiment)

    def start(self, trial: Trial) -> None:
        """As the runner."""
        self._runner.start(trial)

    def stop(self, trial: Trial) -> None:
        """As the runner."""
        self._runner.stop(trial)

    def observe(self, trial: Trial) -> RunState:
        """As the runner."""
        return self._runner.observe(trial)

    def outputs(self, trial: Trial) -> TrialOutputs | None:
        """As the runner."""
        return self._runner.outputs(trial)

    def remove(self, trial: Trial) -> None:
        """As the runner; then the files go if they are not to be kept."""
        # Asked before: a runner that is asked for a run that it has let go of finds it again.
        is_over = self._runner.observe(trial).phase in (RunPhase.ENDED, RunPhase.ABSENT)
        self._runner.remove(trial)
        if trial.metadata.deletion_timestamp is not None or not is_over:
            return
        try:
            self._retention.released(trial)
        except (OSError, StoreError) as error:
            # The next run of the Experiment finds them again.
            logger.warning("%s/%s: its files cannot be removed now: %s", *trial.key[1:], error)

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """As the runner."""
        self._runner.subscribe(listener)

    def close(self, *, stop_runs: bool) -> None:
        """As the runner."""
        self._runner.close(stop_runs=stop_runs)


def removed_by(trial: Trial, root: Path) -> KeepTrials | None:
    """The policy by which files of the trial's Experiment were removed, None when none were."""
    note = _note_of(root, trial.metadata.namespace, _owner_uid(trial))
    try:
        return KeepTrials(note.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def _note_of(root: Path, namespace: str, experiment_uid: str) -> Path:
    return namespace_directory(root, namespace) / f".{experiment_uid}.keep-trials"


def _owner_uid(trial: Trial) -> str:
    owners = trial.metadata.owner_references
    return next((owner.uid for owner in owners if owner.kind == "Experiment"), "")
