"""The Experiment resource: what to tune, how, with what limits, and how it is going."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import Field

from katibpy.api.model import Condition, Model, NameValue, Resource, Text, Timestamp


class ParameterType(StrEnum):
    """Kinds of parameter. `unknown` is part of Katib's list of names and is refused by validation."""

    DOUBLE = "double"
    INT = "int"
    DISCRETE = "discrete"
    CATEGORICAL = "categorical"
    UNKNOWN = "unknown"


class Distribution(StrEnum):
    """How values of a numeric parameter are drawn."""

    UNIFORM = "uniform"
    LOG_UNIFORM = "logUniform"
    NORMAL = "normal"
    LOG_NORMAL = "logNormal"
    UNKNOWN = "unknown"


class ObjectiveType(StrEnum):
    """Direction of the objective."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class StrategyType(StrEnum):
    """Which of a trial's observations of a metric stands for the trial."""

    MIN = "min"
    MAX = "max"
    LATEST = "latest"


class ResumePolicy(StrEnum):
    """Whether an Experiment that reached `maxTrialCount` may be continued with a larger one."""

    NEVER = "Never"
    LONG_RUNNING = "LongRunning"
    FROM_VOLUME = "FromVolume"


class CollectorKind(StrEnum):
    """Where metrics come from."""

    STDOUT = "StdOut"
    FILE = "File"
    TENSORFLOW_EVENT = "TensorFlowEvent"
    PROMETHEUS = "PrometheusMetric"
    CUSTOM = "Custom"
    PUSH = "Push"
    NONE = "None"


class FeasibleSpace(Model):
    """Bounds or list of a parameter. Numbers are strings, as in Katib."""

    max: Text | None = None
    min: Text | None = None
    list: tuple[Text, ...] | None = None
    step: Text | None = None
    distribution: Text | None = None


class ParameterSpec(Model):
    """One search dimension."""

    name: str = ""
    parameter_type: Text = ""
    feasible_space: FeasibleSpace = Field(default_factory=FeasibleSpace)


class MetricStrategy(Model):
    """Which observation of the metric `name` counts."""

    name: str = ""
    value: Text = ""


class Objective(Model):
    """What to optimise, in the user's own terms."""

    type: Text = ""
    goal: float | None = None
    objective_metric_name: str = ""
    additional_metric_names: tuple[str, ...] = ()
    metric_strategies: tuple[MetricStrategy, ...] | None = None


class Algorithm(Model):
    """The search or early stopping algorithm and its settings; setting values are strings."""

    algorithm_name: str = ""
    algorithm_settings: tuple[NameValue, ...] = ()


class TrialParameter(Model):
    """A placeholder `${trialParameters.<name>}` of the template and the parameter it stands for."""

    name: str = ""
    description: str | None = None
    reference: str = ""


class ConfigMapSource(Model):
    """A trial template kept in a ConfigMap."""

    config_map_name: str = ""
    config_map_namespace: str = ""
    template_path: str = ""


class TrialTemplate(Model):
    """The job that every trial runs, with placeholders."""

    retain: bool = False
    trial_spec: dict[str, Any] | None = None
    config_map: ConfigMapSource | None = None
    trial_parameters: tuple[TrialParameter, ...] | None = None
    primary_pod_labels: dict[str, Text] = Field(default_factory=dict)
    primary_container_name: str = ""
    success_condition: str = ""
    failure_condition: str = ""


class FileSystemPath(Model):
    """A metrics file or directory inside the trial."""

    path: str = ""
    kind: Text = ""
    format: Text = ""


class Filter(Model):
    """Regular expressions with two groups: metric name, value."""

    metrics_format: tuple[str, ...] = ()


class HttpHeader(Model):
    """A header of the scrape request."""

    name: str
    value: Text


class HttpGet(Model):
    """Where a Prometheus endpoint of the trial is scraped."""

    path: str = ""
    port: int | str | None = None
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HttpHeader, ...] = ()


class MetricsSource(Model):
    """What the collector reads."""

    http_get: HttpGet | None = None
    file_system_path: FileSystemPath | None = None
    filter: Filter | None = None


class Collector(Model):
    """The kind of collector; `customCollector` is a Kubernetes container."""

    kind: Text = ""
    custom_collector: dict[str, Any] | None = None


class MetricsCollectorSpec(Model):
    """How metrics are collected."""

    source: MetricsSource | None = None
    collector: Collector | None = None


class GraphConfig(Model):
    """Shape of the network that a NAS algorithm fills with operations."""

    num_layers: int | None = None
    input_sizes: tuple[int, ...] = ()
    output_sizes: tuple[int, ...] = ()


class Operation(Model):
    """One kind of layer and the parameters it may take."""

    operation_type: str = ""
    parameters: tuple[ParameterSpec, ...] = ()


class NasConfig(Model):
    """A neural architecture search space."""

    graph_config: GraphConfig = Field(default_factory=GraphConfig)
    operations: tuple[Operation, ...] = ()


class ExperimentSpec(Model):
    """What the user asked for."""

    parameters: tuple[ParameterSpec, ...] = ()
    objective: Objective | None = None
    algorithm: Algorithm | None = None
    early_stopping: Algorithm | None = None
    trial_template: TrialTemplate | None = None
    parallel_trial_count: int | None = None
    max_trial_count: int | None = None
    max_failed_trial_count: int | None = None
    metrics_collector_spec: MetricsCollectorSpec | None = None
    nas_config: NasConfig | None = None
    resume_policy: Text | None = None
    seed: int | None = None
    """Extension: makes assignments of a sequential run repeatable."""


class Metric(Model):
    """Summary of a trial's observations of one metric, as the strings the trial printed."""

    always_written: ClassVar[frozenset[str]] = frozenset({"min", "max", "latest"})

    name: str
    min: Text = "unavailable"
    max: Text = "unavailable"
    latest: Text = "unavailable"


class Observation(Model):
    """A trial's metrics: the objective first, then the additional ones in the order of the spec."""

    metrics: tuple[Metric, ...] = ()


class OptimalTrial(Model):
    """The best trial so far."""

    best_trial_name: str = ""
    parameter_assignments: tuple[NameValue, ...] = ()
    observation: Observation = Field(default_factory=Observation)


class ExperimentStatus(Model):
    """How it is going. Name lists hold all active trials and at most 100 names of each other phase."""

    start_time: Timestamp | None = None
    completion_time: Timestamp | None = None
    last_reconcile_time: Timestamp | None = None
    conditions: tuple[Condition, ...] = ()
    current_optimal_trial: OptimalTrial | None = None
    running_trial_list: tuple[str, ...] = ()
    pending_trial_list: tuple[str, ...] = ()
    failed_trial_list: tuple[str, ...] = ()
    succeeded_trial_list: tuple[str, ...] = ()
    killed_trial_list: tuple[str, ...] = ()
    early_stopped_trial_list: tuple[str, ...] = ()
    metrics_unavailable_trial_list: tuple[str, ...] = ()
    trials: int = 0
    trials_succeeded: int = 0
    trials_failed: int = 0
    trials_killed: int = 0
    trials_pending: int = 0
    trials_running: int = 0
    trials_early_stopped: int = 0
    trial_metrics_unavailable: int = 0
    observed_generation: int | None = None
    """Extension: `metadata.generation` of the spec that this status is about."""


class Experiment(Resource):
    """An Experiment."""

    kind: Literal["Experiment"] = "Experiment"
    spec: ExperimentSpec = Field(default_factory=ExperimentSpec)
    status: ExperimentStatus = Field(default_factory=ExperimentStatus)
