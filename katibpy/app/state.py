"""A state directory as those see it who only look: the commands beside `katib run`, and clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.ports import ObservationStore, ResourceStore
from katibpy.stores.state_directory import StateDirectory

if TYPE_CHECKING:
    from katibpy.core.retention import KeepTrials

TRIALS_NAME = "trials"
"""Folder of a state directory that holds what belongs to single trials."""

CHECKPOINTS_NAME = "checkpoints"
"""Folder of a state directory that holds what trials leave for others to begin with."""


class State:
    """A state directory beside its engine, which may be running: to read, and to mark deletions.

    What is about files of trials is loaded when it is asked for: a list shall be there at once.

    Attributes:
        path: the directory, absolute.
        resources: its resource store.
        observations: its observation store.
    """

    def __init__(self, state_dir: Path) -> None:
        """Opens it.

        Raises:
            NotFound: nothing has run there.
            StoreError: it cannot be opened.
        """
        self.path = state_dir.absolute()
        self._directory = StateDirectory.visit(state_dir, SystemClock())
        self.resources: ResourceStore = self._directory.resources
        self.observations: ObservationStore = self._directory.observations

    def log_path(self, trial: Trial, replica: str = "") -> Path:
        """Where the output of the trial goes, or of one of its replicas; it is there once it has started."""
        from katibpy.runners.gang.job import replica_log
        from katibpy.runners.local import OUTPUT_NAME

        directory = self._directory_of(trial)
        return replica_log(directory, replica) if replica else directory / OUTPUT_NAME

    def checkpoint_path(self, trial: Trial) -> Path:
        """Where the trial's checkpoints go, if it is to leave any; they are there once it has started."""
        from katibpy.runners.checkpoints import checkpoint_directory

        return checkpoint_directory(trial, self.path / CHECKPOINTS_NAME)

    def removed_by(self, trial: Trial) -> KeepTrials | None:
        """The policy by which files of ended trials of the Experiment were removed, None when none were."""
        from katibpy.app.housekeeping import removed_by

        return removed_by(trial, self.path / TRIALS_NAME)

    def replicas(self, trial: Trial) -> tuple[str, ...]:
        """The replicas whose output is not the trial's own, as far as they have started."""
        from katibpy.runners.gang.job import replicas_with_logs

        return replicas_with_logs(self._directory_of(trial))

    def close(self) -> None:
        """Closes the database."""
        self._directory.close()

    def _directory_of(self, trial: Trial) -> Path:
        from katibpy.runners.local import directory_of

        return directory_of(trial, self.path / TRIALS_NAME)


def open_state(state_dir: Path) -> State:
    """Opens a state directory without its lock; see `State`."""
    return State(state_dir)
