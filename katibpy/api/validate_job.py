"""Rules for a `batch/v1 Job` as trial template: only fields that a Job has, with their types.

Kubernetes would refuse the rest one trial at a time; here it is refused once, with its path. Parts that no
katibpy runner looks into (volume sources, affinity, probes ...) are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from katibpy.api.job_fields import OBJECTS
from katibpy.api.paths import child_path, did_you_mean
from katibpy.api.problems import Problems, shown
from katibpy.api.template import PLACEHOLDER

_RESTART_POLICIES = ("Never", "OnFailure")


def check_job(job: Mapping[str, Any], path: str, primary_container: str, problems: Problems) -> None:
    """Check a whole Job, placeholders still in it."""
    _object(job, "Job", path, problems)
    where = f"{path}.spec.template.spec"
    pod = job
    for step in ("spec", "template", "spec"):
        found = pod.get(step)
        if not isinstance(found, Mapping):
            if found is None:
                problems.add(where, "must describe the pod of the job, got nothing")
            return
        pod = found
    _containers(pod, where, primary_container, problems)
    policy = pod.get("restartPolicy")
    if isinstance(policy, str) and not PLACEHOLDER.search(policy):
        problems.one_of(f"{where}.restartPolicy", policy, _RESTART_POLICIES)


def _containers(pod: Mapping[str, Any], path: str, primary: str, problems: Problems) -> None:
    containers = pod.get("containers")
    if not containers:
        problems.add(f"{path}.containers", "must have at least one container, got nothing")
        return
    if not isinstance(containers, list):
        return
    names: list[str] = []
    for index, container in enumerate(containers):
        name = container.get("name") if isinstance(container, Mapping) else None
        if isinstance(name, str) and name:
            names.append(name)
        elif isinstance(container, Mapping) and not name:
            problems.add(f"{path}.containers[{index}].name", "must be set, got nothing")
    problems.distinct(f"{path}.containers", names, "name", ".name")
    if primary and names and primary not in names and not any(PLACEHOLDER.search(name) for name in names):
        problems.add(
            "spec.trialTemplate.primaryContainerName",
            f"must be the name of a container of the job ({', '.join(names)}), "
            f"got {shown(primary)}{did_you_mean(primary, names)}",
        )


def _object(value: object, kind: str, path: str, problems: Problems) -> None:
    if not isinstance(value, Mapping):
        problems.add(path, f"must be a mapping, got {shown(value)}")
        return
    fields = OBJECTS[kind]
    for key, child in value.items():
        where = child_path(path, str(key))
        if key not in fields:
            problems.add(where, f"is not a field of {kind}{did_you_mean(str(key), fields)}")
        elif child is not None:
            _field(child, fields[key], where, problems)


def _field(value: object, kind: str, path: str, problems: Problems) -> None:
    if kind == "any":
        return
    if kind.startswith("[]"):
        if not isinstance(value, list):
            problems.add(path, f"must be a list, got {shown(value)}")
            return
        for index, item in enumerate(value):
            _field(item, kind[2:], f"{path}[{index}]", problems)
    elif kind.startswith("{}"):
        if not isinstance(value, Mapping):
            problems.add(path, f"must be a mapping, got {shown(value)}")
            return
        for key, item in value.items():
            _field(item, kind[2:], child_path(path, str(key)), problems)
    elif kind in OBJECTS:
        _object(value, kind, path, problems)
    else:
        holds, description = _LEAVES[kind]
        if not holds(value):
            hint = ""
            if kind == "text" and isinstance(value, bool | int | float):
                hint = "; put it in quotes"
            problems.add(path, f"must be {description}, got {shown(value)}{hint}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_LEAVES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "text": (lambda value: isinstance(value, str), "a string"),
    "integer": (_is_integer, "an integer"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "quantity": (
        lambda value: isinstance(value, str | int | float) and not isinstance(value, bool),
        "a quantity such as 1, 500m or 2Gi",
    ),
}
