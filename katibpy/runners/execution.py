"""How a trial's job becomes a process of this host: the one thing in which kinds of local runners differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.errors import FieldError, RunnerError
from katibpy.runners.local_job import LocalJob, MetricsPlace


class CannotStart(RunnerError):
    """A job cannot be started, now or later; the message says why and what to do.

    Attributes:
        reason: one CamelCase word.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Launch:
    """What an attempt starts.

    Attributes:
        argv: program, by its absolute path, and arguments.
        environment: all of it.
        working_directory: where it runs.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: Path


class Execution(Protocol):
    """One way of running jobs. Methods may be called from several threads at once."""

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """What of the trial template cannot be honoured, each by its path."""
        ...

    def job_of(self, trial: Trial, directory: Path, checkpoints: Path | None = None) -> LocalJob:
        """The trial's job.

        Args:
            trial: with a run spec that is filled in.
            directory: the trial's own.
            checkpoints: what it is to see at `spec.checkpointPath`; None when it has no checkpoint directory.

        Raises:
            InvalidResource: the run spec cannot be honoured.
        """
        ...

    def metrics_place(self, trial: Trial, directory: Path) -> MetricsPlace | None:
        """Where the trial writes its metrics; None when its collector reads no file."""
        ...

    def inspect(self, job: LocalJob, environment: Mapping[str, str]) -> None:
        """Looks whether the job can be started, before it waits for its turn.

        Raises:
            CannotStart: it cannot.
        """
        ...

    def launch(
        self, job: LocalJob, environment: Mapping[str, str], granted: Mapping[str, str], attempt: Path
    ) -> Launch:
        """Makes everything ready for an attempt.

        Args:
            job: what to run.
            environment: of this host, below the job's own.
            granted: variables that tell the job what it was given of this host.
            attempt: directory of the attempt.

        Raises:
            CannotStart: it cannot be started.
            OSError: a file cannot be written.
        """
        ...

    def end(self, attempt: Path) -> str:
        """Ends what the attempt left outside of its processes; called when those are over.

        Returns:
            What it had of memory, and was not to have; "" when that did not end it.
        """
        ...

    def explain(self, attempt: Path) -> str:
        """Which part of the job failed, as the beginning of a sentence; "" when it has but one."""
        ...
