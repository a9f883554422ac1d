"""What one trial runs on this host: argument vector, environment, directory and limits, all filled in."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from katibpy.api.experiment import CollectorKind, Experiment, MetricsCollectorSpec
from katibpy.api.lineage import CHECKPOINT_VARIABLE
from katibpy.api.template import TRIAL_SPEC_PATH
from katibpy.api.trial import EXPERIMENT_LABEL, TRIAL_LABEL, Trial
from katibpy.errors import FieldError, InvalidResource
from katibpy.runners.demand import NOTHING, Demand
from katibpy.runners.expansion import expand
from katibpy.runners.job_fields import whole_number
from katibpy.runners.job_shape import (
    JobShape,
    checkpoint_problems,
    demand_in,
    empty_directories,
    field_reference,
    problems_of,
    shape_of,
    texts_of,
)
from katibpy.runners.private_paths import METRICS_FILE_VARIABLE, Move, PathMover, UnsafePath, file_moves

DEFAULT_BACKOFF_LIMIT = 6
"""Of Kubernetes: a Job that does not say otherwise is tried seven times."""

TRIAL_NAME_VARIABLE = "KATIB_TRIAL_NAME"
EXPERIMENT_NAME_VARIABLE = "KATIB_EXPERIMENT_NAME"

_FILE_KINDS = (CollectorKind.FILE, CollectorKind.TENSORFLOW_EVENT)
_METRICS_PATH = "spec.metricsCollectorSpec.source.fileSystemPath.path"


@dataclass(frozen=True, slots=True)
class MetricsPlace:
    """Where a trial writes its metrics.

    Attributes:
        path: file or directory on this host.
        is_private: whether it belongs to this trial alone.
        is_directory: whether it is a directory.
    """

    path: Path
    is_private: bool
    is_directory: bool


@dataclass(frozen=True, slots=True)
class Process:
    """A process as its pod describes it.

    Attributes:
        argv: program and arguments; the program not yet looked up.
        environment: what the pod declares, over what every trial gets.
        working_directory: where it runs.
        private_directories: to be made before it starts.
        fresh_directories: those of them that are emptied before every attempt.
        metrics: where it writes its metrics, when a collector reads a file.
        search_first: directories that come first in PATH.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: Path
    private_directories: tuple[Path, ...] = ()
    fresh_directories: tuple[Path, ...] = ()
    metrics: MetricsPlace | None = None
    search_first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalJob(Process):
    """A process to start, and within which limits.

    Attributes:
        deadline_seconds: from the start of the first attempt until all is ended.
        attempt_deadline_seconds: for each attempt.
        backoff_limit: how many attempts may fail and be followed by another.
        least_retried_code: the least exit code after which there may be another.
        grace_seconds: between SIGTERM and SIGKILL, when the job says so.
        demand: what of this host it asks for.
        checkpoints: the trial's checkpoint directory, when it has one.
    """

    deadline_seconds: int | None = None
    attempt_deadline_seconds: int | None = None
    backoff_limit: int = DEFAULT_BACKOFF_LIMIT
    least_retried_code: int = 1
    grace_seconds: float | None = None
    demand: Demand = NOTHING
    checkpoints: Path | None = None


def job_problems(experiment: Experiment) -> tuple[FieldError, ...]:
    """What of a `batch/v1 Job` as trial template a process on this host cannot honour."""
    template = experiment.spec.trial_template
    if template is None or template.trial_spec is None:
        # That it must be there is the API's to say.
        return ()
    shape = shape_of(template.trial_spec, template.primary_container_name)
    errors = tuple(problems_of(shape, template.primary_container_name, TRIAL_SPEC_PATH))
    if errors and errors[0].path == f"{TRIAL_SPEC_PATH}.kind":
        return errors
    return (*errors, *metrics_problems(experiment, shape), *checkpoint_problems(experiment, shape))


def metrics_problems(experiment: Experiment, shape: JobShape) -> tuple[FieldError, ...]:
    """What keeps the metrics files of trials apart from each other, given the pod that writes them."""
    place, _ = metrics_of(experiment.spec.metrics_collector_spec, shape, Path("/private"))
    parallel = experiment.spec.parallel_trial_count
    if place is None or place.is_private or parallel == 1:
        return ()
    return (
        FieldError(
            _METRICS_PATH,
            f"must be named in the trial's command, args or env when trials run at the same time, got "
            f"{str(place.path)!r} with spec.parallelTrialCount {parallel}: on this host all of them "
            f"would write the same file. Hand the path to the program (it becomes the trial's own), "
            f"have it write to ${METRICS_FILE_VARIABLE}, or set spec.parallelTrialCount to 1",
        ),
    )


def single_job_of(
    trial: Trial, *, directory: Path, default_working_directory: Path, checkpoints: Path | None = None
) -> LocalJob:
    """The process of a trial that is a `batch/v1 Job`.

    Args:
        trial: with a run spec that is filled in.
        directory: the trial's own.
        default_working_directory: for a job without `workingDir`, and what a relative one is relative to.
        checkpoints: the trial's checkpoint directory, when it has one.

    Raises:
        InvalidResource: the run spec cannot be honoured.
    """
    run_spec, primary = trial.spec.run_spec, trial.spec.primary_container_name
    shape = shape_of(run_spec, primary)
    errors = list(problems_of(shape, primary, "spec.runSpec"))
    if errors:
        raise InvalidResource(errors)
    process = process_of(
        trial,
        shape,
        directory=directory,
        default_working_directory=default_working_directory,
        checkpoints=checkpoints,
    )
    grace = whole_number(shape.pod.get("terminationGracePeriodSeconds"))
    backoff = whole_number(shape.spec.get("backoffLimit"))
    return LocalJob(
        argv=process.argv,
        environment=process.environment,
        working_directory=process.working_directory,
        private_directories=process.private_directories,
        fresh_directories=process.fresh_directories,
        metrics=process.metrics,
        deadline_seconds=whole_number(shape.spec.get("activeDeadlineSeconds")),
        attempt_deadline_seconds=whole_number(shape.pod.get("activeDeadlineSeconds")),
        backoff_limit=DEFAULT_BACKOFF_LIMIT if backoff is None else backoff,
        grace_seconds=None if grace is None else float(grace),
        demand=demand_in(shape),
        checkpoints=checkpoints,
    )


def process_of(
    trial: Trial,
    shape: JobShape,
    *,
    directory: Path,
    default_working_directory: Path,
    told: Mapping[str, str] | None = None,
    checkpoints: Path | None = None,
) -> Process:
    """The process of a pod.

    Args:
        trial: whose pod it is.
        shape: the pod; it must have no problems.
        directory: what keeps its private paths.
        default_working_directory: as of `single_job_of`.
        told: variables that an operator adds to those of the pod, over which they win.
        checkpoints: the trial's checkpoint directory, when it has one.

    Raises:
        InvalidResource: a private path cannot be put in its place.
    """
    moves = [Move(trial.spec.checkpoint_path, checkpoints, is_directory=True)] if checkpoints else []
    place, mover = metrics_of(trial.spec.metrics_collector, shape, directory, more=moves)
    try:
        declared = declared_environment(trial, shape, mover)
        given = given_environment(trial, shape, place, checkpoints=str(checkpoints or ""))
        environment = {**given, **declared, **(told or {})}
        words = [
            mover.move(expand(word, environment))
            for section in ("command", "args")
            for word in shape.container.get(section) or ()
        ]
        working = mover.move(expand(shape.container.get("workingDir") or "", environment))
    except UnsafePath as error:
        raise InvalidResource([FieldError(f"spec.runSpec.{shape.container_path}", str(error))]) from error
    return Process(
        argv=tuple(words),
        environment=environment,
        working_directory=default_working_directory / working,
        private_directories=(
            *_private_directories(shape, place, directory),
            *([checkpoints] if checkpoints else ()),
        ),
        # A pod that restarts its container keeps its volumes; otherwise the next attempt is another pod.
        fresh_directories=()
        if shape.pod.get("restartPolicy") == "OnFailure"
        else tuple(_volumes(shape, directory)),
        metrics=place,
    )


def metrics_of(
    collector: MetricsCollectorSpec | None, shape: JobShape, directory: Path, *, more: Sequence[Move] = ()
) -> tuple[MetricsPlace | None, PathMover]:
    """Where metrics go, and the mover of all private paths of the job, `more` among them."""
    volumes = [
        Move(mount_path, Path(os.path.normpath(directory / "volumes" / volume)), is_directory=True)
        for mount_path, volume in empty_directories(shape).items()
    ]
    kind = collector.collector.kind if collector is not None and collector.collector is not None else ""
    source = collector.source if collector is not None else None
    file = source.file_system_path if source is not None else None
    if collector is None or kind not in _FILE_KINDS or file is None or not file.path:
        return None, PathMover((*volumes, *more))
    is_directory = kind == CollectorKind.TENSORFLOW_EVENT
    private, moves = _metrics_moves(
        file.path.rstrip("/") or "/", volumes, directory / "metrics", is_directory
    )
    probe = PathMover(moves)
    texts = tuple(texts_of(shape))
    is_named = any(METRICS_FILE_VARIABLE in text for text in texts)
    for text in texts:
        try:
            probe.move(text)
        except UnsafePath:
            is_named = True
    if not is_named and not probe.used:
        return MetricsPlace(Path(file.path), False, is_directory), PathMover((*volumes, *more))
    return MetricsPlace(private, True, is_directory), PathMover((*moves, *volumes, *more))


def _metrics_moves(
    path: str, volumes: list[Move], private_directory: Path, is_directory: bool
) -> tuple[Path, tuple[Move, ...]]:
    for volume in volumes:
        if path.startswith(volume.path.rstrip("/") + "/"):
            # The directory is a mounted one already; moving the file elsewhere would part the two.
            private = volume.private / path[len(volume.path.rstrip("/")) + 1 :]
            return private, (Move(path, private, is_directory), volume)
    if is_directory:
        return private_directory, (Move(path, private_directory, is_directory=True),)
    return file_moves(path, private_directory)


def _private_directories(shape: JobShape, place: MetricsPlace | None, directory: Path) -> Iterator[Path]:
    yield from _volumes(shape, directory)
    if place is not None and place.is_private:
        yield place.path if place.is_directory else place.path.parent


def _volumes(shape: JobShape, directory: Path) -> Iterator[Path]:
    for volume in empty_directories(shape).values():
        yield directory / "volumes" / volume


def given_environment(
    trial: Trial, shape: JobShape, place: MetricsPlace | None, *, checkpoints: str = ""
) -> dict[str, str]:
    """What every trial is told, and where its metrics and checkpoints go."""
    owner = next((owner.name for owner in trial.metadata.owner_references if owner.kind == "Experiment"), "")
    given = {
        TRIAL_NAME_VARIABLE: trial.metadata.name,
        EXPERIMENT_NAME_VARIABLE: trial.metadata.labels.get(EXPERIMENT_LABEL, owner),
    }
    if place is not None:
        given[METRICS_FILE_VARIABLE] = str(place.path)
    if checkpoints:
        given[CHECKPOINT_VARIABLE] = checkpoints
    if shape.spec.get("completionMode") == "Indexed":
        given["JOB_COMPLETION_INDEX"] = "0"
    return given


def declared_environment(trial: Trial, shape: JobShape, mover: PathMover) -> dict[str, str]:
    """What the pod declares, with private paths in their places.

    Raises:
        UnsafePath: one cannot be put there.
    """
    # As in Kubernetes, a value may refer to those declared before it.
    declared: dict[str, str] = {}
    for entry in shape.container.get("env") or ():
        source = entry.get("valueFrom")
        if not source:
            declared[entry["name"]] = mover.move(expand(entry.get("value") or "", declared))
        elif "fieldRef" in source:
            declared[entry["name"]] = _field_value(trial, shape, source["fieldRef"]["fieldPath"])
    return declared


def _field_value(trial: Trial, shape: JobShape, path: str) -> str:
    section, key = field_reference(path) or (path, "")
    meta = trial.metadata
    if section == "labels":
        labels = {**trial.spec.labels, **_texts(shape.pod_metadata.get("labels")), TRIAL_LABEL: meta.name}
        return labels.get(key, "")
    if section == "annotations":
        return _texts(shape.pod_metadata.get("annotations")).get(key, "")
    values = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid or "",
        "spec.nodeName": platform.node(),
    }
    return values[section]


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
