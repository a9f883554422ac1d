"""What a trial asks this host for: GPUs, cpus and memory, read from the fields where a pod says it.

`resources` of the primary container count, and those of the pod for what the container leaves open. As in
Kubernetes a request is what is kept for the trial and a limit what it may use; either stands for the other
where one is missing.

An annotation of the Job or of its pod shares a device, which Kubernetes has no field for:
`katib.kubeflow.org/gpu-fraction: "0.5"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from katibpy.api.paths import child_path
from katibpy.api.quantity import ceiling, milli, parse_quantity
from katibpy.errors import FieldError
from katibpy.runners.job_fields import is_open

GPU_RESOURCE = "nvidia.com/gpu"
GPU_FRACTION_ANNOTATION = "katib.kubeflow.org/gpu-fraction"
WHOLE = 1000
"""A whole device or cpu; shares are counted in thousandths."""

SECTIONS = ("limits", "requests")
_DIVISIBLE = ("cpu", "memory")
_HARMLESS = "ephemeral-storage"
_NO_OTHERS = (
    f"cannot be honoured: this host hands out cpu, memory and {GPU_RESOURCE}; take it out, and the process "
    "sees what the host has"
)

Resources = Mapping[str, Any]
"""`resources` of a container or a pod."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What has to be there before a trial starts, and what it may use then.

    Attributes:
        gpus: whole devices.
        gpu_share: thousandths of one device, instead of whole ones.
        cpu: thousandths of a cpu that are kept for it.
        cpu_limit: thousandths of a cpu that it may use, which decides how many threads it is told to start;
            None when it did not say.
        memory: bytes that are kept for it.
        memory_limit: bytes that it may use; None for as much as there is.
    """

    gpus: int = 0
    gpu_share: int = 0
    cpu: int = 0
    cpu_limit: int | None = None
    memory: int = 0
    memory_limit: int | None = None

    @property
    def wants_gpu(self) -> bool:
        """Whether a device is needed, whole or shared."""
        return bool(self.gpus or self.gpu_share)

    @property
    def needs_slot(self) -> bool:
        """Whether anything has to be kept for it."""
        return bool(self.wants_gpu or self.cpu or self.memory)


NOTHING = Demand()


def demand_of(container: Resources | None, pod: Resources | None, fraction: Any = None) -> Demand:
    """What these fields ask for; they must have no problems. What a placeholder stands for is not known.

    Args:
        container: `resources` of the primary container.
        pod: `resources` of the pod.
        fraction: value of the annotation, None when there is none.
    """
    cpu_limit, cpu = _limit_and_request(container, pod, "cpu")
    memory_limit, memory = _limit_and_request(container, pod, "memory")
    gpus = _entry(container, "limits", GPU_RESOURCE) or _entry(container, "requests", GPU_RESOURCE)
    if cpu is None and memory is None and gpus is None and fraction is None:
        return NOTHING
    share = 0 if fraction is None or is_open(fraction) else milli(parse_quantity(fraction))
    return Demand(
        gpus=int(gpus or 0) + share // WHOLE,
        gpu_share=share % WHOLE,
        cpu=milli(cpu or Fraction(0)),
        cpu_limit=milli(cpu_limit) if cpu_limit else None,
        memory=ceiling(memory or Fraction(0)),
        memory_limit=ceiling(memory_limit) if memory_limit else None,
    )


def resource_problems(value: Any, path: str, *, is_pod: bool = False) -> Iterator[FieldError]:
    """What is wrong with `resources` of a container, or of a pod, by itself.

    Placeholders are left for the trial that fills them.
    """
    if not isinstance(value, Mapping):
        if value is not None:
            yield FieldError(path, f"must be a mapping, got {value!r}")
        return
    if value.get("claims"):
        yield FieldError(f"{path}.claims", "cannot be honoured: this host hands out no resource claims")
    for section in SECTIONS:
        entries = value.get(section)
        if entries is not None and not isinstance(entries, Mapping):
            yield FieldError(f"{path}.{section}", f"must be a mapping, got {entries!r}")
            return
        for name, amount in (entries or {}).items():
            problem = None if is_open(amount) else _problem_of(str(name), amount, is_pod=is_pod)
            if problem is not None:
                yield FieldError(child_path(f"{path}.{section}", str(name)), problem)
    yield from _contradictions(value, path)


def fraction_problem(value: Any) -> str | None:
    """What is wrong with the annotation that shares a device, None when it is fine or still open."""
    if value is None or is_open(value):
        return None
    try:
        share = parse_quantity(value) * WHOLE
    except ValueError:
        share = Fraction(0)
    if not isinstance(value, str) or share.denominator != 1 or not 0 < share <= WHOLE:
        return (
            "must be a share of one GPU, in quotes, above 0 and at most 1, with up to three decimals "
            f'("0.5"), got {value!r}'
        )
    return None


def wants_whole_gpus(container: Resources | None) -> bool:
    """Whether whole devices are asked for, be the number known or a placeholder."""
    return any(
        str(amount) != "0"
        for section in SECTIONS
        for name, amount in _section(container, section).items()
        if name == GPU_RESOURCE
    )


def _problem_of(name: str, amount: Any, *, is_pod: bool) -> str | None:
    if name == _HARMLESS or str(amount) == "0":
        return None
    if name not in _DIVISIBLE and (name != GPU_RESOURCE or is_pod):
        return f"{_NO_OTHERS} (got {amount!r})"
    try:
        quantity = parse_quantity(amount)
    except ValueError as error:
        return str(error)
    if name == GPU_RESOURCE and quantity.denominator != 1:
        return (
            f"must be a whole number of GPUs, got {amount!r}; a share of one is asked for by the annotation "
            f'{GPU_FRACTION_ANNOTATION}: "0.5"'
        )
    return None


def _contradictions(value: Resources, path: str) -> Iterator[FieldError]:
    limits, requests = (_section(value, section) for section in SECTIONS)
    for name, request in requests.items():
        limit = limits.get(name)
        if limit is None or name not in (*_DIVISIBLE, GPU_RESOURCE):
            continue
        try:
            wanted, most = parse_quantity(request), parse_quantity(limit)
        except ValueError:
            continue
        where = child_path(f"{path}.requests", name)
        if name == GPU_RESOURCE and wanted != most:
            yield FieldError(where, f"must equal the limit ({limit}), got {request!r}; leave it out")
        elif wanted > most:
            yield FieldError(where, f"must be at most the limit ({limit}), got {request!r}")


def _limit_and_request(
    container: Resources | None, pod: Resources | None, name: str
) -> tuple[Fraction | None, Fraction | None]:
    for resources in (container, pod):
        limit, request = (_entry(resources, section, name) for section in SECTIONS)
        if limit is not None or request is not None:
            return limit, limit if request is None else request
    return None, None


def _entry(resources: Resources | None, section: str, name: str) -> Fraction | None:
    amount = _section(resources, section).get(name)
    return None if amount is None or is_open(amount) else parse_quantity(amount)


def _section(resources: Any, section: str) -> Mapping[str, Any]:
    entries = resources.get(section) if isinstance(resources, Mapping) else None
    return entries if isinstance(entries, Mapping) else {}
