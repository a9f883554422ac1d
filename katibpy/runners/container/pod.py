"""From a pod to the container that stands for it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from katibpy.api.experiment import CollectorKind, MetricsCollectorSpec
from katibpy.api.quantity import ceiling, parse_quantity
from katibpy.api.trial import Trial
from katibpy.errors import FieldError, RunnerError
from katibpy.runners.container.spec import ContainerSpec, Mount, Scratch
from katibpy.runners.demand import Demand
from katibpy.runners.expansion import expand
from katibpy.runners.fresh_directory import renew
from katibpy.runners.job_fields import whole_number
from katibpy.runners.job_shape import JobShape
from katibpy.runners.local_job import MetricsPlace, declared_environment, given_environment
from katibpy.runners.private_paths import METRICS_FILE_VARIABLE, PathMover

_FILE_KINDS = (CollectorKind.FILE, CollectorKind.TENSORFLOW_EVENT)
_PULLS = {"Always": "always", "Never": "never"}
_SHARED_MODE = 0o777


@dataclass(frozen=True, slots=True)
class PodVolume:
    """What a mount path of the container stands for.

    Attributes:
        target: the mount path.
        source: directory or file of this host; None for memory.
        is_own: whether it belongs to the trial, and is made for it.
        is_read_only: whether the container may not write there.
        size: of memory, in bytes; None for the engine's limit.
        type: of a host path, as in `hostPath.type`.
    """

    target: str
    source: Path | None
    is_own: bool = False
    is_read_only: bool = False
    size: int | None = None
    type: str = ""


def volumes_of(shape: JobShape, directory: Path) -> tuple[PodVolume, ...]:
    """What is mounted, in the order of the pod.

    Args:
        shape: the pod.
        directory: what keeps the trial's own volumes.
    """
    volumes = {each.get("name"): each for each in _mappings(shape.pod.get("volumes"))}
    found = []
    for mount in _mappings(shape.container.get("volumeMounts")):
        target, name = mount.get("mountPath"), mount.get("name")
        volume = volumes.get(name)
        if not isinstance(target, str) or not isinstance(name, str) or volume is None:
            continue
        sub_path = str(mount.get("subPath") or "")
        is_read_only = bool(mount.get("readOnly"))
        empty = volume.get("emptyDir")
        if isinstance(volume.get("hostPath"), Mapping):
            host = volume["hostPath"]
            source = Path(os.path.normpath(Path(str(host.get("path") or "/")) / sub_path))
            kind = str(host.get("type") or "")
            found.append(PodVolume(target, source, is_read_only=is_read_only, type=kind))
        elif isinstance(empty, Mapping) and empty.get("medium") == "Memory":
            size = empty.get("sizeLimit")
            found.append(
                PodVolume(target, None, size=None if size is None else ceiling(parse_quantity(size)))
            )
        else:
            source = Path(os.path.normpath(directory / "volumes" / name / sub_path))
            found.append(PodVolume(target, source, is_own=True, is_read_only=is_read_only))
    return tuple(found)


def metrics_place_of(
    collector: MetricsCollectorSpec | None, shape: JobShape, directory: Path
) -> tuple[MetricsPlace | None, str]:
    """Where metrics go on this host, and in the container; what is mounted already stays where it is."""
    kind = collector.collector.kind if collector is not None and collector.collector is not None else ""
    source = collector.source if collector is not None else None
    file = source.file_system_path if source is not None else None
    if kind not in _FILE_KINDS or file is None or not file.path:
        return None, ""
    is_directory = kind == CollectorKind.TENSORFLOW_EVENT
    path = posixpath.normpath(file.path)
    for volume in sorted(volumes_of(shape, directory), key=lambda each: -len(each.target)):
        inside = posixpath.relpath(path, volume.target)
        if volume.source is not None and not inside.startswith(".."):
            return MetricsPlace(volume.source / inside, volume.is_own, is_directory), path
    own = directory / "metrics"
    place = own if is_directory else own / posixpath.basename(path)
    return MetricsPlace(place, True, is_directory), path


def container_of(
    trial: Trial,
    shape: JobShape,
    *,
    name: str,
    directory: Path,
    demand: Demand,
    told: Mapping[str, str] | None = None,
    granted: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    checkpoints: Path | None = None,
) -> ContainerSpec:
    """The container of a pod.

    Args:
        trial: whose pod it is.
        shape: the pod; it must have no problems.
        name: of the container.
        directory: what keeps its private paths.
        demand: what it may use.
        told: variables that an operator adds to those of the pod, over which they win.
        granted: variables that tell what it was given of this host.
        devices: GPUs that it was given.
        checkpoints: the trial's checkpoint directory, when it has one.
    """
    place, metrics_path = metrics_place_of(trial.spec.metrics_collector, shape, directory)
    checkpoint_path = trial.spec.checkpoint_path if checkpoints is not None else ""
    given = given_environment(trial, shape, None, checkpoints=checkpoint_path)
    if place is not None:
        given[METRICS_FILE_VARIABLE] = metrics_path
    declared = declared_environment(trial, shape, PathMover(()))
    own = {"PYTHONUNBUFFERED": "1", **given, **(granted or {}), **declared, **(told or {})}
    security = {**_mapping(shape.pod.get("securityContext")), **_security_of(shape)}
    capabilities = _mapping(security.get("capabilities"))
    return ContainerSpec(
        name=name,
        image=str(shape.container.get("image") or ""),
        command=tuple(expand(word, own) for word in shape.container.get("command") or ()),
        args=tuple(expand(word, own) for word in shape.container.get("args") or ()),
        environment=own,
        working_directory=expand(shape.container.get("workingDir") or "", own),
        mounts=(
            *_mounts(shape, place, metrics_path, directory),
            *([] if checkpoints is None else [Mount(checkpoints, checkpoint_path)]),
        ),
        scratch=tuple(
            Scratch(volume.target, volume.size)
            for volume in volumes_of(shape, directory)
            if volume.source is None
        ),
        user=_user(security),
        devices=tuple(devices),
        cpu_limit=demand.cpu_limit,
        memory_limit=demand.memory_limit,
        pull=_PULLS.get(str(shape.container.get("imagePullPolicy")), "missing"),
        has_host_network=bool(shape.pod.get("hostNetwork")) or told is not None,
        has_host_ipc=bool(shape.pod.get("hostIPC")),
        has_host_processes=bool(shape.pod.get("hostPID")),
        is_read_only=bool(security.get("readOnlyRootFilesystem")),
        may_gain_privileges=security.get("allowPrivilegeEscalation") is not False,
        added_capabilities=tuple(capabilities.get("add") or ()),
        dropped_capabilities=tuple(capabilities.get("drop") or ()),
        hostname=str(shape.pod.get("hostname") or ""),
        hosts={
            str(alias): str(entry["ip"])
            for entry in _mappings(shape.pod.get("hostAliases"))
            for alias in entry.get("hostnames") or ()
        },
    )


def make_directories(
    spec: ContainerSpec, shape: JobShape, directory: Path, *, metrics: Path | None = None
) -> None:
    """Makes what is to be mounted, as far as it belongs to the trial or the pod says so.

    Whatever the container runs as must be able to write there, as in an `emptyDir` of Kubernetes; nobody else
    gets that far, since the trial's directory is its user's alone.

    Args:
        spec: the container.
        shape: its pod.
        directory: what keeps its private paths.
        metrics: a file or directory that goes on from attempt to attempt.

    Raises:
        RunnerError: a host path is missing; the message says which.
        OSError: a directory cannot be made.
    """
    # A pod that restarts its container keeps its volumes; otherwise the next attempt is another pod.
    if shape.pod.get("restartPolicy") != "OnFailure":
        for volume in volumes_of(shape, directory):
            if volume.is_own and volume.source is not None:
                renew(volume.source, keep=metrics)
    for mount in spec.mounts:
        if mount.source.is_relative_to(directory):
            mount.source.mkdir(parents=True, exist_ok=True)
            mount.source.chmod(_SHARED_MODE)
    for volume in volumes_of(shape, directory):
        if volume.is_own or volume.source is None:
            continue
        if volume.type == "DirectoryOrCreate":
            volume.source.mkdir(parents=True, exist_ok=True)
        elif volume.type == "FileOrCreate":
            volume.source.touch()
        if not volume.source.exists():
            raise RunnerError(
                f"hostPath {volume.source} does not exist; make it, or use the type DirectoryOrCreate"
            )


def pod_file_problems(
    collector: MetricsCollectorSpec | None, shape: JobShape, path: str, parallel: int | None
) -> Iterator[FieldError]:
    """What is wrong with volumes and metrics files, given a pod with no other problems."""
    pod_path = f"{path}.{shape.template_path}.spec"
    names = {each.get("name") for each in _mappings(shape.pod.get("volumes"))}
    for index, volume in enumerate(_mappings(shape.pod.get("volumes"))):
        host = volume.get("hostPath")
        if isinstance(host, Mapping) and not str(host.get("path") or "").startswith("/"):
            yield FieldError(
                f"{pod_path}.volumes[{index}].hostPath.path",
                f"must be an absolute path of this host, got {host.get('path')!r}",
            )
    for index, mount in enumerate(_mappings(shape.container.get("volumeMounts"))):
        where = f"{path}.{shape.container_path}.volumeMounts[{index}]"
        if mount.get("name") not in names:
            yield FieldError(f"{where}.name", f"must be the name of a volume, got {mount.get('name')!r}")
        if not str(mount.get("mountPath") or "").startswith("/"):
            yield FieldError(
                f"{where}.mountPath", f"must be an absolute path, got {mount.get('mountPath')!r}"
            )
    place, metrics_path = metrics_place_of(collector, shape, Path("/private"))
    where = "spec.metricsCollectorSpec.source.fileSystemPath.path"
    if place is not None and place.is_private and posixpath.dirname(metrics_path) == "/":
        yield FieldError(
            where, f"must lie in a directory of its own, which can be mounted, got {metrics_path!r}"
        )
    if place is not None and not place.is_private and parallel != 1:
        yield FieldError(
            where,
            f"must not lie in a hostPath when trials run at the same time, got {metrics_path!r}: all of them "
            "would write the same file; use an emptyDir, or set spec.parallelTrialCount to 1",
        )


def _mounts(
    shape: JobShape, place: MetricsPlace | None, metrics_path: str, directory: Path
) -> Iterator[Mount]:
    targets = set()
    for volume in volumes_of(shape, directory):
        if volume.source is not None:
            targets.add(posixpath.normpath(volume.target))
            yield Mount(volume.source, volume.target, volume.is_read_only)
    own = directory / "metrics"
    if place is not None and place.path.is_relative_to(own):
        target = metrics_path if place.is_directory else posixpath.dirname(metrics_path)
        if target not in targets:
            yield Mount(own, target)


def _security_of(shape: JobShape) -> Mapping[str, Any]:
    return _mapping(shape.container.get("securityContext"))


def _user(security: Mapping[str, Any]) -> str:
    uid, gid = (whole_number(security.get(name)) for name in ("runAsUser", "runAsGroup"))
    if uid is None and gid is None:
        return ""
    return f"{'' if uid is None else uid}{'' if gid is None else f':{gid}'}"


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
