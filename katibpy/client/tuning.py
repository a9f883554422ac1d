"""Makes an Experiment of a function: what `KatibClient.tune` is asked for, in Katib's words."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from katibpy.api.encode import to_dict
from katibpy.api.experiment import CollectorKind, ParameterSpec
from katibpy.api.model import API_VERSION
from katibpy.client.plain import plain
from katibpy.client.shipping import Call, Objective
from katibpy.errors import InputError, Unsupported

CONTAINER_NAME = "training-container"
DEFAULT_IMAGE = "python"
RUN_MODULE = "katibpy.client.run_objective"

_GPU = "nvidia.com/gpu"
_DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What `tune` was asked for; the attributes are its arguments."""

    name: str
    namespace: str
    objective: Objective | None
    parameters: Mapping[str, Any] | None
    objective_metric_name: str | None
    additional_metric_names: Sequence[str] = ()
    objective_type: str = "maximize"
    objective_goal: float | None = None
    metric_strategies: Mapping[str, str] | None = None
    algorithm_name: str = "random"
    algorithm_settings: Any = None
    max_trial_count: int | None = None
    parallel_trial_count: int | None = None
    max_failed_trial_count: int | None = None
    resume_policy: str = "LongRunning"
    seed: int | None = None
    env_per_trial: Any = None
    resources_per_trial: Any = None
    retain_trials: bool = False
    trial_active_deadline_seconds: int | None = None
    metrics_collector_config: Mapping[str, Any] = field(default_factory=dict)
    base_image: str | None = None
    packages_to_install: Sequence[str] | None = None

    def call(self) -> Call:
        """What each trial calls.

        Raises:
            InputError: the objective or its parameters are not such.
            Unsupported: an argument asks for what this machine cannot do.
        """
        if not callable(self.objective):
            raise InputError(
                f"objective must be a function, got {_shown(self.objective)}; give the function itself"
            )
        if not isinstance(self.parameters, Mapping):
            raise InputError(f"parameters must be a dict by name, got {_shown(self.parameters)}")
        if not self.objective_metric_name:
            raise InputError(
                f"objective_metric_name must name what is optimised, got {self.objective_metric_name!r}"
            )
        self._check_supported()
        searched = {
            name: spec
            for name, value in self.parameters.items()
            if (spec := _as_parameter(name, value)) is not None
        }
        constants = {name: value for name, value in self.parameters.items() if name not in searched}
        if not searched:
            raise InputError(
                "parameters must hold at least one search dimension such as search.double(0.01, 1), got "
                f"{', '.join(self.parameters) or 'none'}"
            )
        return Call(self.objective, searched, constants, self.objective_metric_name)

    def experiment(self, call: Call, payload: Path) -> dict[str, Any]:
        """The Experiment, in Katib's shape."""
        spec = {
            "objective": {
                "type": self.objective_type,
                "goal": self.objective_goal,
                "objectiveMetricName": call.metric,
                "additionalMetricNames": list(self.additional_metric_names),
                "metricStrategies": [
                    {"name": name, "value": value} for name, value in (self.metric_strategies or {}).items()
                ],
            },
            "algorithm": {
                "algorithmName": self.algorithm_name,
                "algorithmSettings": _name_values("algorithm_settings", self.algorithm_settings),
            },
            "parameters": [{**to_dict(spec), "name": name} for name, spec in call.searched.items()],
            "maxTrialCount": self.max_trial_count,
            "parallelTrialCount": self.parallel_trial_count,
            "maxFailedTrialCount": self.max_failed_trial_count,
            "resumePolicy": self.resume_policy,
            "seed": self.seed,
            "metricsCollectorSpec": {"collector": {"kind": CollectorKind.STDOUT.value}},
            "trialTemplate": self._template(call, payload),
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "Experiment",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": _without_gaps(spec),
        }

    def _template(self, call: Call, payload: Path) -> dict[str, Any]:
        names = list(call.searched)
        words = [f"{name}=${{trialParameters.{name}}}" for name in names]
        container = {
            "name": CONTAINER_NAME,
            "image": self.base_image or DEFAULT_IMAGE,
            # Without -P the names of the caller's own files would come before those of every package.
            "command": [sys.executable, "-P", "-m", RUN_MODULE, str(payload), *words],
            "env": _name_values("env_per_trial", self.env_per_trial),
            "resources": _resources(self.resources_per_trial),
        }
        job = {
            # What Python raised once it raises again.
            "backoffLimit": 0,
            "activeDeadlineSeconds": self.trial_active_deadline_seconds,
            "template": {"spec": {"restartPolicy": "Never", "containers": [_without_gaps(container)]}},
        }
        return {
            "retain": self.retain_trials,
            "primaryContainerName": CONTAINER_NAME,
            "trialParameters": [{"name": name, "reference": name} for name in names],
            "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": _without_gaps(job)},
        }

    def _check_supported(self) -> None:
        if not sys.executable:
            raise Unsupported(
                "tune needs the path of this Python to start trials, and sys.executable is empty"
            )
        kind = plain(self.metrics_collector_config).get("kind", CollectorKind.STDOUT.value)
        if kind != CollectorKind.STDOUT:
            raise Unsupported(
                f"metrics_collector_config must be {{'kind': 'StdOut'}} here, got kind {kind!r}: what the "
                "objective returns or prints is read from its output"
            )
        missing = [each for each in self.packages_to_install or () if not _is_installed(each)]
        if missing:
            raise Unsupported(
                "packages_to_install must be installed already, since trials run in this Python's "
                f"environment, got {', '.join(missing)}: pip install {' '.join(missing)}"
            )


def _as_parameter(name: str, value: object) -> ParameterSpec | None:
    """The search dimension that a value is; None for a constant."""
    if isinstance(value, ParameterSpec):
        return value
    names = getattr(value, "attribute_map", None)
    if isinstance(names, Mapping) and "feasibleSpace" in names.values():
        return ParameterSpec.model_validate({**plain(value), "name": name})
    return None


def _name_values(argument: str, given: Any) -> list[Any]:
    """A dict, or a list of things with a name, as a list of names and values."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [
            {"name": str(name), "value": _text(value)} for name, value in given.items() if value is not None
        ]
    if isinstance(given, list | tuple):
        entries = [plain(entry) for entry in given]
        if all(isinstance(entry, dict) and "name" in entry for entry in entries):
            return entries
    raise InputError(f"{argument} must be a dict or a list of names with values, got {_shown(given)}")


def _resources(given: Any) -> dict[str, Any]:
    """`{"cpu": 2}` or a Kubernetes object, as the resources of a container."""
    if given is None:
        return {}
    data = plain(given)
    if not isinstance(data, dict):
        raise Unsupported(
            f"resources_per_trial must be a dict such as {{'cpu': 2, 'memory': '4Gi'}}, got {_shown(given)}"
        )
    if "limits" in data or "requests" in data:
        return data
    limits = {_GPU if name.lower() == "gpu" else name: _text(value) for name, value in data.items()}
    return {"limits": limits, "requests": dict(limits)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _without_gaps(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None and value != [] and value != {}}


def _is_installed(requirement: str) -> bool:
    name = _DISTRIBUTION_NAME.match(requirement.strip())
    if name is None:
        return False
    try:
        importlib.metadata.distribution(name[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _shown(value: object) -> str:
    return f"{value!r:.80}"
