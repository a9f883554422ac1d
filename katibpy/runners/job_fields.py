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


def _taken(value: Any) -> None:
    """Honoured elsewhere, or harmless."""
    return


def _refused(why: str) -> Rule:
    def rule(value: Any) -> str | None:
        is_empty = value in (None, False, 0, "", "0") or value == {} or value == []
        return None if is_empty else f"cannot be honoured: {why}"

    return rule


def _only(*allowed: Any) -> Rule:
    def rule(value: Any) -> str | None:
        if value is None or value in allowed or is_open(value):
            return None
        return f"must be {' or '.join(map(str, allowed))} on this host, got {value!r}; {_ALTERNATIVE}"

    return rule


def _count(least: int) -> Rule:
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
    "template": _taken,
    "backoffLimit": _count(0),
    "activeDeadlineSeconds": _count(1),
    "parallelism": _only(1),
    "completions": _only(1),
    "completionMode": _only("NonIndexed", "Indexed"),
    "suspend": _refused("a suspended job would never start"),
    "ttlSecondsAfterFinished": _taken,
    "podReplacementPolicy": _taken,
    "selector": _taken,
    "manualSelector": _taken,
    "podFailurePolicy": _refused(f"{_ONE_PROCESS} and counts every failure; use backoffLimit"),
    "successPolicy": _refused(_ONE_PROCESS),
    "backoffLimitPerIndex": _refused(f"{_ONE_PROCESS}; use backoffLimit"),
    "maxFailedIndexes": _refused(_ONE_PROCESS),
    "managedBy": _refused("only the local runner manages jobs on this host"),
}

POD_FIELDS: Mapping[str, Rule] = {
    "containers": _taken,
    "volumes": _taken,
    "restartPolicy": _only("Never", "OnFailure"),
    "activeDeadlineSeconds": _count(1),
    "terminationGracePeriodSeconds": _count(0),
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
        _taken,
    ),
    "initContainers": _refused(f"{_ONE_PROCESS}; do their work in its command"),
    "ephemeralContainers": _refused(_ONE_PROCESS),
    "securityContext": _taken,
    "hostname": _refused("a process has the name of its host"),
    "subdomain": _refused("a process has the name of its host"),
    "setHostnameAsFQDN": _refused("a process has the name of its host"),
    "hostAliases": _refused("it would need this host's /etc/hosts changed"),
    "hostUsers": _only(True),
    "runtimeClassName": _refused(_NO_CONTAINER),
    "schedulingGates": _refused("nothing would ever open the gate"),
    "resourceClaims": _refused("this host hands out no resource claims"),
    "resources": _taken,
}

CONTAINER_FIELDS: Mapping[str, Rule] = {
    "name": _taken,
    "command": _taken,
    "args": _taken,
    "env": _taken,
    "workingDir": _taken,
    "resources": _taken,
    "volumeMounts": _taken,
    "securityContext": _taken,
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
        _taken,
    ),
    "restartPolicy": _only("Never", "OnFailure"),
    "envFrom": _refused(_NO_SECRETS),
    "tty": _refused("output goes to a file, not to a terminal"),
    "lifecycle": _refused(f"{_ONE_PROCESS}; call its hooks in the command"),
    "livenessProbe": _refused(_NO_PROBE),
    "startupProbe": _refused(_NO_PROBE),
    "volumeDevices": _refused("there are no block volumes to attach on this host"),
}

SECURITY_FIELDS: Mapping[str, Rule] = {
    "runAsUser": _user(os.geteuid),
    "runAsGroup": _user(os.getegid),
    "runAsNonRoot": _non_root,
    "allowPrivilegeEscalation": _only(True),
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
        _refused(f"{_NO_CONTAINER}; {_ALTERNATIVE}"),
    ),
}

MOUNT_FIELDS: Mapping[str, Rule] = {
    **dict.fromkeys(("name", "mountPath", "subPath", "readOnly", "recursiveReadOnly"), _taken),
    "subPathExpr": _refused("give a fixed subPath"),
    "mountPropagation": _refused(_NO_CONTAINER),
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
