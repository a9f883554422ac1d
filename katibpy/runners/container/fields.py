"""Which fields of a pod a container engine can honour; what differs from a plain process.

Honoured besides: `image` and its entrypoint, `imagePullPolicy`, `hostPath` volumes and all volume mounts,
`runAsUser`, `runAsGroup`, capabilities, `readOnlyRootFilesystem`, `allowPrivilegeEscalation`, `hostname`,
`hostAliases`, `hostNetwork`, `hostIPC`, `hostPID`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from katibpy.runners.job_fields import (
    CONTAINER_FIELDS,
    MOUNT_FIELDS,
    POD_FIELDS,
    SECURITY_FIELDS,
    PodRules,
    Rule,
    at_least,
    is_open,
    only,
    taken,
)

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def _either(value: Any) -> str | None:
    if value in (None, True, False) or is_open(value):
        return None
    return f"must be true or false, got {value!r}"


def _capabilities(value: Any) -> str | None:
    if value is None:
        return None
    names = [name for part in ("add", "drop") for name in (value.get(part) or ())] if _is_map(value) else None
    if names is None or not all(isinstance(name, str) for name in names) or set(value) - {"add", "drop"}:
        return f"must have lists of names in add and drop, got {value!r}"
    return None


def _aliases(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list) and all(_is_map(each) and isinstance(each.get("ip"), str) for each in value):
        return None
    return f"must be a list of ip and hostnames, got {value!r}"


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


_POD: Mapping[str, Rule] = {
    **POD_FIELDS,
    "hostname": taken,
    "hostAliases": _aliases,
    "hostNetwork": _either,
    "hostIPC": _either,
    "hostPID": _either,
}

_SECURITY: Mapping[str, Rule] = {
    **SECURITY_FIELDS,
    "runAsUser": at_least(0),
    "runAsGroup": at_least(0),
    "runAsNonRoot": _either,
    "allowPrivilegeEscalation": _either,
    "readOnlyRootFilesystem": _either,
    "capabilities": _capabilities,
    # The directories that are mounted can be written by all that the container runs as.
    "fsGroup": taken,
    "fsGroupChangePolicy": taken,
}

CONTAINER_RULES = PodRules(
    pod=_POD,
    security=_SECURITY,
    container={**CONTAINER_FIELDS, "imagePullPolicy": only(*_PULL_POLICIES)},
    mounts={**MOUNT_FIELDS, "mountPath": taken},
    volumes=frozenset({"emptyDir", "hostPath"}),
    no_volume="on this host there are emptyDir and hostPath volumes; use one of them",
    has_images=True,
)
"""Of pods that are containers."""
