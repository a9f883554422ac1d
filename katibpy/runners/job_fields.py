"""Which fields of a `batch/v1 Job` a process on this host can honour; the tables below decide.

Honoured are: the primary container's `command args env workingDir`, `activeDeadlineSeconds` of job and pod,
`backoffLimit`, `terminationGracePeriodSeconds`, `restartPolicy`, `emptyDir` volumes, `completionMode`, and
`resources` (see `demand`).

Harmless are fields that say where, for whom or from what image a pod is made, since a process on this host
has a place, an owner and its programs already: `image`, pull policies and secrets, labels and annotations (of
sidecar injectors, say), node selection, priorities, service accounts, DNS, ports, clean-up times, readiness
probes. They are accepted and change nothing.

Everything else is refused by name, unknown fields too: a trial that silently ran without its Secret, its
data volume or its init container would measure something other than what was asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from katibpy.api.template import PLACEHOLDER
from katibpy.errors import FieldError

Rule = Callable[[Any], str | None]
"""Says what is wrong with a value, None when it is fine."""

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ALTERNATIVE = "run the experiment on Kubernetes, or take the field out"


def is_open(value: Any) -> bool:
    """Whether the value is a placeholder that the trial will fill."""
    return isinstance(value, str) and PLACEHOLDER.search(value) is not None


def taken(value: Any) -> None:
    """Honoured elsewhere, or harmless."""
    return


def refused(why: str) -> Rule:
    """A field that must be left out or empty, and why."""

    def rule(value: Any) -> str | None:
        is_empty = value in (None, False, 0, "", "0") or value == {} or value == []
        return None if is_empty else f"cannot be honoured: {why}"

    return rule


def only(*allowed: Any) -> Rule:
    """A field that has few values here."""

    def rule(value: Any) -> str | None:
        if value is None or value in allowed or is_open(value):
            return None
        return f"must be {' or '.join(map(str, allowed))} on this host, got {value!r}; {_ALTERNATIVE}"

    return rule


def at_least(least: int) -> Rule:
    """A field with a whole number."""

    def rule(value: Any) -> str | None:
        if value is None or is_open(value) or whole_number(value, least) is not None:
            return None
        return f"must be a whole number of at least {least}, got {value!r}"

    return rule


def whole_number(value: Any, least: int = 0) -> int | None:
    """The value as a whole number of at least `least`, None when it is none.

    `"3"` is one, because a placeholder gives text.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if number >= least else None


def _user(own: Callable[[], int]) -> Rule:
    def rule(value: Any) -> str | None:
        if value is None or is_open(value) or whole_number(value) == own():
            return None
        return f"must be {own()}, which this program runs as, got {value!r}; {_ALTERNATIVE}"

    return rule


def _non_root(value: Any) -> str | None:
    if value is True and os.geteuid() == 0:
        return "must not be true here: this program runs as root, and so do its trials"
    return None


_ONE_PROCESS = "the local runner starts one process per trial"
_NO_SECRETS = "there are no Secrets and ConfigMaps on this host; give the values in env"
_NO_PROBE = "nothing probes a process on this host; activeDeadlineSeconds ends one that hangs"
_NO_CONTAINER = "a process on this host is not in a container of its own"

JOB_FIELDS: Mapping[str, Rule] = {
    "template": taken,
    "backoffLimit": at_least(0),
    "activeDeadlineSeconds": at_least(1),
    "parallelism": only(1),
    "completions": only(1),
    "completionMode": only("NonIndexed", "Indexed"),
    "suspend": refused("a suspended job would never start"),
    "ttlSecondsAfterFinished": taken,
    "podReplacementPolicy": taken,
    "selector": taken,
    "manualSelector": taken,
    "podFailurePolicy": refused(f"{_ONE_PROCESS} and counts every failure; use backoffLimit"),
    "successPolicy": refused(_ONE_PROCESS),
    "backoffLimitPerIndex": refused(f"{_ONE_PROCESS}; use backoffLimit"),
    "maxFailedIndexes": refused(_ONE_PROCESS),
    "managedBy": refused("only the local runner manages jobs on this host"),
}

POD_FIELDS: Mapping[str, Rule] = {
    "containers": taken,
    "volumes": taken,
    "restartPolicy": only("Never", "OnFailure"),
    "activeDeadlineSeconds": at_least(1),
    "terminationGracePeriodSeconds": at_least(0),
    **dict.fromkeys(
        [
            "affinity",
            "automountServiceAccountToken",
            "dnsConfig",
            "dnsPolicy",
            "enableServiceLinks",
            "imagePullSecrets",
            "nodeName",
            "nodeSelector",
            "os",
            "overhead",
            "preemptionPolicy",
            "priority",
            "priorityClassName",
            "readinessGates",
            "schedulerName",
            "serviceAccount",
            "serviceAccountName",
            "shareProcessNamespace",
            "tolerations",
            "topologySpreadConstraints",
            # What these ask for is what a process on this host has anyway.
            "hostNetwork",
            "hostPID",
            "hostIPC",
        ],
        taken,
    ),
    "initContainers": refused(f"{_ONE_PROCESS}; do their work in its command"),
    "ephemeralContainers": refused(_ONE_PROCESS),
    "securityContext": taken,
    "hostname": refused("a process has the name of its host"),
    "subdomain": refused("a process has the name of its host"),
    "setHostnameAsFQDN": refused("a process has the name of its host"),
    "hostAliases": refused("it would need this host's /etc/hosts changed"),
    "hostUsers": only(True),
    "runtimeClassName": refused(_NO_CONTAINER),
    "schedulingGates": refused("nothing would ever open the gate"),
    "resourceClaims": refused("this host hands out no resource claims"),
    "resources": taken,
}

CONTAINER_FIELDS: Mapping[str, Rule] = {
    "name": taken,
    "command": taken,
    "args": taken,
    "env": taken,
    "workingDir": taken,
    "resources": taken,
    "volumeMounts": taken,
    "securityContext": taken,
    **dict.fromkeys(
        [
            "image",
            "imagePullPolicy",
            "ports",
            "readinessProbe",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "resizePolicy",
            "stdin",
            "stdinOnce",
        ],
        taken,
    ),
    "restartPolicy": only("Never", "OnFailure"),
    "envFrom": refused(_NO_SECRETS),
    "tty": refused("output goes to a file, not to a terminal"),
    "lifecycle": refused(f"{_ONE_PROCESS}; call its hooks in the command"),
    "livenessProbe": refused(_NO_PROBE),
    "startupProbe": refused(_NO_PROBE),
    "volumeDevices": refused("there are no block volumes to attach on this host"),
}

SECURITY_FIELDS: Mapping[str, Rule] = {
    "runAsUser": _user(os.geteuid),
    "runAsGroup": _user(os.getegid),
    "runAsNonRoot": _non_root,
    "allowPrivilegeEscalation": only(True),
    **dict.fromkeys(
        [
            "appArmorProfile",
            "capabilities",
            "fsGroup",
            "fsGroupChangePolicy",
            "privileged",
            "procMount",
            "readOnlyRootFilesystem",
            "seLinuxOptions",
            "seLinuxChangePolicy",
            "seccompProfile",
            "supplementalGroups",
            "supplementalGroupsPolicy",
            "sysctls",
            "windowsOptions",
        ],
        refused(f"{_NO_CONTAINER}; {_ALTERNATIVE}"),
    ),
}

MOUNT_FIELDS: Mapping[str, Rule] = {
    **dict.fromkeys(("name", "mountPath", "subPath", "readOnly", "recursiveReadOnly"), taken),
    "subPathExpr": refused("give a fixed subPath"),
    "mountPropagation": refused(_NO_CONTAINER),
}


def unfit(value: Any, path: str, table: Mapping[str, Rule]) -> Iterator[FieldError]:
    """The fields of one mapping that cannot be honoured, each by its path."""
    if not isinstance(value, Mapping):
        if value is not None:
            yield FieldError(path, f"must be a mapping, got {value!r}")
        return
    for name, entry in value.items():
        rule = table.get(name)
        if rule is None:
            yield FieldError(f"{path}.{name}", "is not a field that the local runner knows; take it out")
        elif problem := rule(entry):
            yield FieldError(f"{path}.{name}", problem)


@dataclass(frozen=True, slots=True)
class PodRules:
    """What one way of running pods can honour of them.

    Attributes:
        pod: fields of the pod.
        security: fields of `securityContext`, of pod and container.
        container: fields of the container.
        mounts: fields of a volume mount.
        volumes: kinds of volumes.
        no_volume: why another kind cannot be had, and what to do.
        has_images: whether containers are made of images: their entrypoints count, and mounts are mounts.
    """

    pod: Mapping[str, Rule]
    security: Mapping[str, Rule]
    container: Mapping[str, Rule]
    mounts: Mapping[str, Rule]
    volumes: frozenset[str]
    no_volume: str
    has_images: bool = False


PROCESS_RULES = PodRules(
    pod=POD_FIELDS,
    security=SECURITY_FIELDS,
    container=CONTAINER_FIELDS,
    mounts=MOUNT_FIELDS,
    volumes=frozenset({"emptyDir"}),
    no_volume=(
        "a process on this host can have nothing mounted; name the host's own path in the command, or use an "
        "emptyDir"
    ),
)
"""Of pods that are plain processes."""
