"""The parts of a `batch/v1 Job` that the local runner works with, and all that keeps it from doing so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from katibpy.api.experiment import Experiment
from katibpy.api.lineage import CHECKPOINT_PATH_SETTING, checkpoint_path_of
from katibpy.api.paths import child_path
from katibpy.api.template import TRIAL_SPEC_PATH
from katibpy.errors import FieldError
from katibpy.runners import job_fields
from katibpy.runners.demand import (
    GPU_FRACTION_ANNOTATION,
    Demand,
    demand_of,
    fraction_problem,
    resource_problems,
    wants_whole_gpus,
)
from katibpy.runners.devices import VISIBLE_VARIABLE
from katibpy.runners.job_fields import ENVIRONMENT_NAME, PROCESS_RULES, PodRules, is_open, unfit

SHARED_MEMORY = "/dev/shm"
JOB_API_VERSION = "batch/v1"
JOB_KIND = "Job"
KINDS_HERE = (
    "Job of batch/v1, PyTorchJob, TFJob, XGBoostJob or MPIJob of kubeflow.org/v1, or TrainJob of "
    "trainer.kubeflow.org/v1alpha1"
)

FIELD_REFERENCES = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName")
"""What `fieldRef.fieldPath` may be, besides one entry of `metadata.labels` or `metadata.annotations`."""

OBJECT_FIELDS = dict.fromkeys(("apiVersion", "kind", "metadata", "spec", "status"), job_fields.taken)
TEMPLATE_FIELDS = dict.fromkeys(("metadata", "spec"), job_fields.taken)


@dataclass(frozen=True, slots=True)
class JobShape:
    """A job with one of its pods, taken apart; empty parts where it is not well-formed.

    Attributes:
        object: all of it.
        spec: `spec`.
        pod_metadata: `metadata` of the pod's template.
        pod: `spec` of the pod's template.
        container: the primary container.
        container_path: path of the primary container below the object.
        template_path: path of the pod's template below the object.
        resources_field: what the container's `resources` are called there.
    """

    object: Mapping[str, Any]
    spec: Mapping[str, Any] = field(default_factory=dict)
    pod_metadata: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)
    container_path: str = "spec.template.spec.containers[0]"
    template_path: str = "spec.template"
    resources_field: str = "resources"


def shape_of(job: Mapping[str, Any], primary_container_name: str) -> JobShape:
    """The Job's parts; the primary container is the one of that name, or the only one."""
    return shape_at(job, "spec.template", primary_container_name)


def shape_at(job: Mapping[str, Any], template_path: str, primary_container_name: str) -> JobShape:
    """The parts of a job with the pod whose template is at a path."""
    template: Mapping[str, Any] = job
    for step in template_path.split("."):
        template = _mapping(template.get(step))
    pod = _mapping(template.get("spec"))
    containers = _sequence(pod.get("containers"))
    index = 0
    for position, container in enumerate(containers):
        if _mapping(container).get("name") == primary_container_name:
            index = position
            break
    return JobShape(
        object=job,
        spec=_mapping(job.get("spec")),
        pod_metadata=_mapping(template.get("metadata")),
        pod=pod,
        container=_mapping(containers[index]) if containers else {},
        container_path=f"{template_path}.spec.containers[{index}]",
        template_path=template_path,
    )


def problems_of(
    shape: JobShape, primary_container_name: str, path: str, rules: PodRules = PROCESS_RULES
) -> Iterator[FieldError]:
    """What of the Job cannot be run on this host.

    Args:
        shape: the Job.
        primary_container_name: the container that is run; may be empty when there is only one.
        path: path of the Job itself, which all paths begin with.
        rules: tell what can be honoured of a pod.
    """
    job = shape.object
    kind, version = job.get("kind"), job.get("apiVersion")
    if (version, kind) != (JOB_API_VERSION, JOB_KIND):
        yield FieldError(
            f"{path}.kind",
            f"must be {KINDS_HERE}, got {kind} of {version}: those can be run as processes on this host",
        )
        return
    yield from unfit(job, path, OBJECT_FIELDS)
    yield from unfit(job.get("spec"), f"{path}.spec", job_fields.JOB_FIELDS)
    yield from unfit(shape.spec.get("template"), f"{path}.spec.template", TEMPLATE_FIELDS)
    yield from pod_problems(shape, primary_container_name, path, rules)


def pod_problems(
    shape: JobShape, primary_container_name: str, path: str, rules: PodRules = PROCESS_RULES
) -> Iterator[FieldError]:
    """What of the shape's pod cannot be run on this host; arguments as of `problems_of`."""
    pod_path = f"{path}.{shape.template_path}.spec"
    yield from unfit(shape.pod, pod_path, rules.pod)
    yield from unfit(shape.pod.get("securityContext"), f"{pod_path}.securityContext", rules.security)
    yield from resource_problems(shape.pod.get("resources"), f"{pod_path}.resources", is_pod=True)
    yield from _volume_problems(shape, pod_path, rules)
    containers = _sequence(shape.pod.get("containers"))
    if len(containers) != 1:
        names = ", ".join(str(_mapping(container).get("name")) for container in containers) or "none"
        yield FieldError(
            f"{pod_path}.containers",
            f"must be exactly one container: the local runner starts one process per trial, got {names}",
        )
    if containers:
        yield from container_problems(shape, primary_container_name, path, rules)


def container_problems(
    shape: JobShape, primary_container_name: str, path: str, rules: PodRules = PROCESS_RULES
) -> Iterator[FieldError]:
    """What of the shape's container cannot be honoured; arguments as of `problems_of`."""
    container, where = shape.container, f"{path}.{shape.container_path}"
    if primary_container_name and container.get("name") not in (None, primary_container_name):
        yield FieldError(
            f"{where}.name",
            f"must be the primaryContainerName {primary_container_name!r}, got {container.get('name')!r}",
        )
    yield from unfit(container, where, rules.container)
    yield from unfit(container.get("securityContext"), f"{where}.securityContext", rules.security)
    yield from resource_problems(container.get("resources"), f"{where}.{shape.resources_field}")
    yield from _sharing_problems(shape, path)
    yield from _command_problems(container, where, rules)
    yield from _environment_problems(container.get("env"), f"{where}.env")
    yield from _mount_problems(shape, where, rules)


def checkpoint_problems(experiment: Experiment, shape: JobShape) -> Iterator[FieldError]:
    """Mounts of the trial template's pod that stand where its trials are to see their checkpoints."""
    path = checkpoint_path_of(experiment)
    for index, mount in enumerate(map(_mapping, _sequence(shape.container.get("volumeMounts")))):
        mount_path = mount.get("mountPath")
        if path and isinstance(mount_path, str) and os.path.normpath(mount_path) == path:
            yield FieldError(
                f"{TRIAL_SPEC_PATH}.{shape.container_path}.volumeMounts[{index}].mountPath",
                f"must not be the checkpoint directory that {CHECKPOINT_PATH_SETTING} names, got "
                f"{mount_path!r}: trials get one of their own there; take the mount out",
            )


def empty_directories(shape: JobShape) -> dict[str, str]:
    """Mount path to the path, below the trial's volumes, that stands for it.

    A mount of a directory that this host has anyway (`/tmp`) and that nothing in the job names is not among
    them: a program that knows the path by itself uses the host's. Neither is shared memory.
    """
    mentioned = "\n".join(texts_of(shape))
    found: dict[str, str] = {}
    for mount in map(_mapping, _sequence(shape.container.get("volumeMounts"))):
        mount_path, name = mount.get("mountPath"), mount.get("name")
        if not isinstance(mount_path, str) or not isinstance(name, str) or mount_path == SHARED_MEMORY:
            continue
        if mount_path in mentioned or not os.path.isdir(mount_path):
            found[mount_path] = os.path.join(name, str(mount.get("subPath") or ""))
    return found


def texts_of(shape: JobShape) -> Iterator[str]:
    """All words of the command line and all values of the environment."""
    for section in ("command", "args"):
        yield from (word for word in _sequence(shape.container.get(section)) if isinstance(word, str))
    for entry in map(_mapping, _sequence(shape.container.get("env"))):
        value = entry.get("value")
        if isinstance(value, str):
            yield value


def demand_in(shape: JobShape) -> Demand:
    """What the Job asks this host for; it must have no problems."""
    fraction = next((value for _, value in _fractions(shape)), None)
    return demand_of(shape.container.get("resources"), shape.pod.get("resources"), fraction)


def fraction_path(shape: JobShape) -> str:
    """Where the annotation that shares a GPU stands, or would stand, below the object."""
    return next((where for where, _ in _fractions(shape)), "metadata.annotations")


def field_reference(path: str) -> tuple[str, str] | None:
    """`("labels", key)`, `("annotations", key)` or `(path, "")`; None when a local run has no such field."""
    if path in FIELD_REFERENCES:
        return path, ""
    for section in ("labels", "annotations"):
        head = f"metadata.{section}["
        if path.startswith(head) and path.endswith("]"):
            return section, path[len(head) : -1].strip("'\"")
    return None


def _fractions(shape: JobShape) -> Iterator[tuple[str, Any]]:
    """Where the annotation that shares a GPU stands, below the object, and its value."""
    pod_metadata = (f"{shape.template_path}.metadata", shape.pod_metadata)
    places = (("metadata", shape.object.get("metadata")), pod_metadata)
    for where, metadata in places:
        annotations = _mapping(_mapping(metadata).get("annotations"))
        value = annotations.get(GPU_FRACTION_ANNOTATION)
        if value is not None:
            yield child_path(f"{where}.annotations", GPU_FRACTION_ANNOTATION), value


def _sharing_problems(shape: JobShape, path: str) -> Iterator[FieldError]:
    fractions = list(_fractions(shape))
    for where, value in fractions:
        problem = fraction_problem(value)
        if problem is None and value != fractions[0][1]:
            problem = f"must be that of the Job ({fractions[0][1]!r}), got {value!r}; give it once"
        if problem is not None:
            yield FieldError(f"{path}.{where}", problem)
    is_whole = wants_whole_gpus(shape.container.get("resources"))
    if fractions and is_whole:
        yield FieldError(
            f"{path}.{fractions[0][0]}",
            "must not be given together with nvidia.com/gpu: a trial has whole GPUs or a share of one; take "
            "one of the two out",
        )
    if not fractions and not is_whole:
        return
    for index, entry in enumerate(map(_mapping, _sequence(shape.container.get("env")))):
        if entry.get("name") == VISIBLE_VARIABLE:
            yield FieldError(
                f"{path}.{shape.container_path}.env[{index}]",
                f"must not set {VISIBLE_VARIABLE} when the trial asks for GPUs: it is set to those that the "
                "trial gets; take it out",
            )


def _command_problems(container: Mapping[str, Any], path: str, rules: PodRules) -> Iterator[FieldError]:
    image = container.get("image")
    if rules.has_images and (not isinstance(image, str) or not image):
        yield FieldError(f"{path}.image", f"must be the name of an image, got {image!r}")
    if not rules.has_images and not container.get("command"):
        yield FieldError(
            f"{path}.command", "must be given: the local runner has no image entrypoint; give command"
        )
    for section in ("command", "args"):
        words = container.get(section)
        if words is not None and not (
            isinstance(words, list | tuple) and all(isinstance(w, str) for w in words)
        ):
            yield FieldError(f"{path}.{section}", f"must be a list of strings, got {words!r}; quote numbers")
    directory = container.get("workingDir")
    if directory is not None and not isinstance(directory, str):
        yield FieldError(f"{path}.workingDir", f"must be a string, got {directory!r}")


def _environment_problems(entries: Any, path: str) -> Iterator[FieldError]:
    if entries is not None and not isinstance(entries, list | tuple):
        yield FieldError(path, f"must be a list, got {entries!r}")
    for index, entry in enumerate(_sequence(entries)):
        where, fields = f"{path}[{index}]", _mapping(entry)
        name, source = fields.get("name"), fields.get("valueFrom")
        if not is_open(name) and (not isinstance(name, str) or not ENVIRONMENT_NAME.fullmatch(name)):
            yield FieldError(
                f"{where}.name",
                f"must be letters, digits and underscores, not beginning with a digit, got {name!r}: "
                "the shell that starts a trial hands on no other names",
            )
        value = fields.get("value")
        if value is not None and not isinstance(value, str):
            yield FieldError(f"{where}.value", f"must be a string, got {value!r}; put it in quotes")
        if source:
            yield from _source_problems(_mapping(source), f"{where}.valueFrom")


def _source_problems(source: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for kind, reference in source.items():
        if kind == "fieldRef":
            wanted = _mapping(reference).get("fieldPath")
            if not isinstance(wanted, str) or field_reference(wanted) is None:
                known = ", ".join(
                    (*FIELD_REFERENCES, "metadata.labels['...']", "metadata.annotations['...']")
                )
                yield FieldError(
                    f"{path}.fieldRef.fieldPath", f"must be one of {known} on this host, got {wanted!r}"
                )
        elif not (
            kind in ("secretKeyRef", "configMapKeyRef") and _mapping(reference).get("optional") is True
        ):
            yield FieldError(
                f"{path}.{kind}",
                "cannot be honoured: there is no such object on this host; give the value itself",
            )


def _volume_problems(shape: JobShape, path: str, rules: PodRules) -> Iterator[FieldError]:
    for index, volume in enumerate(map(_mapping, _sequence(shape.pod.get("volumes")))):
        for kind in volume:
            if kind != "name" and kind not in rules.volumes:
                yield FieldError(f"{path}.volumes[{index}].{kind}", f"cannot be honoured: {rules.no_volume}")


def _mount_problems(shape: JobShape, path: str, rules: PodRules) -> Iterator[FieldError]:
    mentioned = "\n".join(texts_of(shape))
    for index, mount in enumerate(map(_mapping, _sequence(shape.container.get("volumeMounts")))):
        where = f"{path}.volumeMounts[{index}]"
        yield from unfit(mount, where, rules.mounts)
        mount_path = mount.get("mountPath")
        if (
            rules.has_images
            or not isinstance(mount_path, str)
            or os.path.isdir(mount_path)
            or mount_path in mentioned
        ):
            continue
        yield FieldError(
            f"{where}.mountPath",
            f"must be named in command, args or env, since nothing can be mounted for a process: "
            f"where {mount_path!r} stands there, it is replaced by a directory of the trial's own",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
