"""The Trial resource: one run of the job with one assignment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from katibpy.api.experiment import MetricsCollectorSpec, Objective, Observation
from katibpy.api.model import Condition, Model, NameValue, Resource, Text, Timestamp
from katibpy.api.suggestion import EarlyStoppingRule

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"
"""Label of a Trial that holds the name of its Experiment."""

TRIAL_LABEL = "katib.kubeflow.org/trial"
"""Label of the pods of a Trial that holds its name."""


class TrialSpec(Model):
    """What to run and how to judge it; `run_spec` is the template with everything substituted."""

    objective: Objective = Field(default_factory=Objective)
    parameter_assignments: tuple[NameValue, ...] = ()
    early_stopping_rules: tuple[EarlyStoppingRule, ...] = ()
    run_spec: dict[str, Any] = Field(default_factory=dict)
    retain_run: bool = False
    metrics_collector: MetricsCollectorSpec = Field(default_factory=MetricsCollectorSpec)
    primary_pod_labels: dict[str, Text] = Field(default_factory=dict)
    primary_container_name: str = ""
    success_condition: str = ""
    failure_condition: str = ""
    labels: dict[str, Text] = Field(default_factory=dict)
    number: int | None = None
    """Extension: 0-based creation order within the Experiment."""
    checkpoint_path: str = ""
    """Extension: where the Trial sees its own checkpoint directory; empty when it has none."""


class StopRequest(Model):
    """How a Trial that is to be stopped shall end: its phase (Killed or EarlyStopped), reason and message."""

    phase: str
    reason: str
    message: str


class TrialStatus(Model):
    """How the run is going and what it measured."""

    start_time: Timestamp | None = None
    completion_time: Timestamp | None = None
    last_reconcile_time: Timestamp | None = None
    conditions: tuple[Condition, ...] = ()
    observation: Observation | None = None
    stop_request: StopRequest | None = None
    """Extension: set when the Trial is to be stopped; the phase follows once its run has ended."""


class Trial(Resource):
    """A Trial."""

    kind: Literal["Trial"] = "Trial"
    spec: TrialSpec = Field(default_factory=TrialSpec)
    status: TrialStatus = Field(default_factory=TrialStatus)
