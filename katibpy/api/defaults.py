"""What an Experiment gets when the user said nothing; applied once, before validation."""

from __future__ import annotations

from katibpy.api.experiment import (
    Algorithm,
    Collector,
    CollectorKind,
    Distribution,
    Experiment,
    ExperimentSpec,
    FileSystemPath,
    HttpGet,
    MetricsCollectorSpec,
    MetricsSource,
    MetricStrategy,
    Objective,
    ObjectiveType,
    ParameterSpec,
    ParameterType,
    ResumePolicy,
    StrategyType,
    TrialTemplate,
)

DEFAULT_ALGORITHM = "auto"
DEFAULT_PARALLEL_TRIAL_COUNT = 3
DEFAULT_METRICS_FILE = "/var/log/katib/metrics.log"
DEFAULT_EVENT_DIRECTORY = "/var/log/katib/tfevent/"
DEFAULT_SCRAPE_PATH = "/metrics"
DEFAULT_SCRAPE_PORT = 8080

TRAINING_OPERATOR_KINDS = frozenset({"TFJob", "PyTorchJob", "XGBoostJob", "MPIJob"})
TRAINING_OPERATOR_POD_LABELS = {"training.kubeflow.org/job-role": "master"}
TRAIN_JOB_POD_LABELS = {
    "jobset.sigs.k8s.io/replicatedjob-name": "node",
    "batch.kubernetes.io/job-completion-index": "0",
}
NUMERIC_TYPES = frozenset({ParameterType.INT.value, ParameterType.DOUBLE.value})


def with_defaults(experiment: Experiment) -> Experiment:
    """The experiment with every unset field that has a default filled in.

    Nothing that the user set is changed, right or wrong, so a second call changes nothing.
    """
    return experiment.but(spec=_spec(experiment.spec))


def _spec(spec: ExperimentSpec) -> ExperimentSpec:
    parallel = spec.parallel_trial_count
    if parallel is None:
        parallel = DEFAULT_PARALLEL_TRIAL_COUNT
        # Two trials in all cannot run three at a time; refusing that would blame the user for our number.
        if spec.max_trial_count is not None and spec.max_trial_count > 0:
            parallel = min(parallel, spec.max_trial_count)
    return spec.but(
        parameters=tuple(_parameter(parameter) for parameter in spec.parameters),
        objective=None if spec.objective is None else _objective(spec.objective),
        algorithm=_algorithm(spec),
        trial_template=None if spec.trial_template is None else _template(spec.trial_template),
        parallel_trial_count=parallel,
        metrics_collector_spec=_collector_spec(spec.metrics_collector_spec or MetricsCollectorSpec()),
        resume_policy=spec.resume_policy or ResumePolicy.NEVER.value,
    )


def _algorithm(spec: ExperimentSpec) -> Algorithm | None:
    # A search for architectures has no algorithm that would suit whatever is asked for.
    if spec.nas_config is not None or not spec.parameters:
        return spec.algorithm
    if spec.algorithm is None:
        return Algorithm(algorithm_name=DEFAULT_ALGORITHM)
    return (
        spec.algorithm
        if spec.algorithm.algorithm_name
        else spec.algorithm.but(algorithm_name=DEFAULT_ALGORITHM)
    )


def _parameter(parameter: ParameterSpec) -> ParameterSpec:
    space = parameter.feasible_space
    if space.distribution or parameter.parameter_type not in NUMERIC_TYPES:
        return parameter
    return parameter.but(feasible_space=space.but(distribution=Distribution.UNIFORM.value))


def _objective(objective: Objective) -> Objective:
    strategy = {
        ObjectiveType.MINIMIZE.value: StrategyType.MIN.value,
        ObjectiveType.MAXIMIZE.value: StrategyType.MAX.value,
    }.get(objective.type, StrategyType.LATEST.value)
    strategies = list(objective.metric_strategies or ())
    known = {entry.name for entry in strategies}
    for name in (objective.objective_metric_name, *objective.additional_metric_names):
        if name and name not in known:
            known.add(name)
            strategies.append(MetricStrategy(name=name, value=strategy))
    return objective.but(metric_strategies=tuple(strategies))


def _condition(condition_type: str) -> str:
    return f'status.conditions.#(type=="{condition_type}")#|#(status=="True")#'


def _template(template: TrialTemplate) -> TrialTemplate:
    if template.trial_spec is None:
        return template
    kind = template.trial_spec.get("kind")
    api_version = template.trial_spec.get("apiVersion")
    if not isinstance(kind, str):
        return template
    labels = template.primary_pod_labels
    # The kind alone does not tell: Volcano has a Job too, whose conditions are others.
    if kind == "Job" and isinstance(api_version, str) and api_version.startswith("batch/"):
        succeeded = "Complete"
    elif kind in TRAINING_OPERATOR_KINDS:
        succeeded, labels = "Succeeded", labels or TRAINING_OPERATOR_POD_LABELS
    elif kind == "TrainJob":
        succeeded, labels = "Complete", labels or TRAIN_JOB_POD_LABELS
    else:
        return template
    return template.but(
        success_condition=template.success_condition or _condition(succeeded),
        failure_condition=template.failure_condition or _condition("Failed"),
        primary_pod_labels=dict(labels),
    )


def _collector_spec(spec: MetricsCollectorSpec) -> MetricsCollectorSpec:
    collector = spec.collector or Collector()
    if not collector.kind:
        collector = collector.but(kind=CollectorKind.STDOUT.value)
    source = spec.source
    if collector.kind == CollectorKind.PROMETHEUS:
        source = source or MetricsSource()
        get = source.http_get or HttpGet()
        source = source.but(
            http_get=get.but(path=get.path or DEFAULT_SCRAPE_PATH, port=get.port or DEFAULT_SCRAPE_PORT)
        )
    elif collector.kind == CollectorKind.FILE:
        source = source or MetricsSource()
        file = source.file_system_path or FileSystemPath()
        source = source.but(
            file_system_path=file.but(
                kind=file.kind or "File", path=file.path or DEFAULT_METRICS_FILE, format=file.format or "TEXT"
            )
        )
    elif collector.kind == CollectorKind.TENSORFLOW_EVENT:
        source = source or MetricsSource()
        file = source.file_system_path or FileSystemPath()
        source = source.but(
            file_system_path=file.but(
                kind=file.kind or "Directory", path=file.path or DEFAULT_EVENT_DIRECTORY
            )
        )
    return spec.but(collector=collector, source=source)
