"""Whether a host is large enough for a trial, however long the trial waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from katibpy.api.experiment import Experiment
from katibpy.api.paths import child_path
from katibpy.api.quantity import format_bytes, format_milli
from katibpy.api.template import TRIAL_SPEC_PATH
from katibpy.errors import FieldError
from katibpy.runners.demand import GPU_FRACTION_ANNOTATION, GPU_RESOURCE, SECTIONS, WHOLE, Demand
from katibpy.runners.devices import DeviceSource
from katibpy.runners.gang.job import gang_demand
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.host_room import HostRoom
from katibpy.runners.job_shape import JobShape, demand_in, fraction_path, shape_of


def shortfalls(demand: Demand, room: HostRoom, source: DeviceSource) -> Iterator[tuple[str, str]]:
    """What is asked for beyond what there is: the resource, and what is wrong with asking for it.

    Devices are looked for only when some are asked for.
    """
    if demand.wants_gpu:
        count = len(source.devices())
        wanted = demand.gpus or format_milli(demand.gpu_share)
        resource = GPU_RESOURCE if demand.gpus else GPU_FRACTION_ANNOTATION
        if not count:
            hint = source.absence()
            yield resource, f"cannot be honoured: there is no GPU{' ' if hint else ''}{hint}, got {wanted}"
        elif demand.gpus > count:
            yield resource, f"cannot be honoured: must be at most {count}, all GPUs there are, got {wanted}"
    if demand.cpu > room.cpus * WHOLE:
        wanted = format_milli(demand.cpu)
        yield "cpu", f"cannot be honoured: must be at most {room.cpus}, the cpus of this host, got {wanted}"
    if demand.memory > room.memory:
        total, wanted = format_bytes(room.memory), format_bytes(demand.memory)
        yield "memory", f"cannot be honoured: must be at most {total}, the memory of this host, got {wanted}"


def check_capacity(experiment: Experiment, room: HostRoom, source: DeviceSource) -> tuple[FieldError, ...]:
    """The fields of a trial template that ask for more than there is.

    Args:
        experiment: whose template has no other problems; what placeholders ask for is not known yet.
        room: cpus and memory.
        source: finds the devices.
    """
    template = experiment.spec.trial_template
    if template is None or template.trial_spec is None:
        return ()
    demand, shape = _demand_of(template.trial_spec, template.primary_container_name)
    return tuple(
        FieldError(f"{TRIAL_SPEC_PATH}.{_path_of(resource, shape)}", message)
        for resource, message in shortfalls(demand, room, source)
    )


def _demand_of(job: Mapping[str, Any], name: str) -> tuple[Demand, JobShape]:
    """What the job asks for in all, and the pod whose fields are named when that is too much."""
    kind = gang_kind_of(job)
    if kind is None:
        shape = shape_of(job, name)
        return demand_in(shape), shape
    shapes = [role.shape for role in kind.pods(job, name)]
    most = max(shapes, key=lambda shape: bool(shape.container.get("resources")))
    return gang_demand(job, kind, name), most


def _path_of(resource: str, shape: JobShape) -> str:
    """Where the shape says how much of the resource is kept for it."""
    if resource == GPU_FRACTION_ANNOTATION:
        return fraction_path(shape)
    holders = ((shape.container_path, shape.container), (f"{shape.template_path}.spec", shape.pod))
    for path, holder in holders:
        for section in reversed(SECTIONS):
            entries = (holder.get("resources") or {}).get(section) or {}
            # Of devices the limit is what counts.
            if resource in entries and (section == "limits" or resource != GPU_RESOURCE):
                return child_path(f"{path}.{shape.resources_field}.{section}", resource)
    return child_path(f"{shape.container_path}.{shape.resources_field}.limits", resource)
