"""Experiment and its parts <-> messages.

The wire has what an algorithm needs: template, collector and status stay behind. Proto3 has no absent
text or number, so "" and 0 stand for what the user left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from katibpy.api.experiment import (
    Algorithm,
    Experiment,
    ExperimentSpec,
    FeasibleSpace,
    GraphConfig,
    MetricStrategy,
    NasConfig,
    Objective,
    Operation,
    ParameterSpec,
)
from katibpy.api.model import NameValue, ObjectMeta
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_enums import DISTRIBUTIONS, OBJECTIVE_TYPES, PARAMETER_TYPES


def experiment_to_pb(experiment: Experiment) -> pb.Experiment:
    """Everything the wire has room for."""
    metadata, spec = experiment.metadata, experiment.spec
    message = pb.Experiment(
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid or "",
        labels=metadata.labels,
        spec=pb.ExperimentSpec(
            parameter_specs=pb.ExperimentSpec.ParameterSpecs(
                parameters=map(parameter_to_pb, spec.parameters)
            ),
            parallel_trial_count=spec.parallel_trial_count or 0,
            max_trial_count=spec.max_trial_count or 0,
            max_failed_trial_count=spec.max_failed_trial_count,
            seed=spec.seed,
            resume_policy=spec.resume_policy or "",
        ),
    )
    if spec.objective is not None:
        message.spec.objective.CopyFrom(objective_to_pb(spec.objective))
        strategies = spec.objective.metric_strategies or ()
        message.spec.metric_strategies.extend(
            pb.MetricStrategy(name=strategy.name, value=strategy.value) for strategy in strategies
        )
    if spec.algorithm is not None:
        message.spec.algorithm.CopyFrom(algorithm_to_pb(spec.algorithm))
    if spec.early_stopping is not None:
        message.spec.early_stopping.CopyFrom(early_stopping_to_pb(spec.early_stopping))
    if spec.nas_config is not None:
        message.spec.nas_config.CopyFrom(nas_to_pb(spec.nas_config))
    return message


def experiment_from_pb(message: pb.Experiment) -> Experiment:
    """The Experiment as far as the wire has it; a foreign peer's has neither uid nor seed."""
    spec = message.spec
    objective = objective_from_pb(spec.objective) if spec.HasField("objective") else None
    if objective is not None and spec.metric_strategies:
        strategies = tuple(MetricStrategy(name=s.name, value=s.value) for s in spec.metric_strategies)
        objective = objective.but(metric_strategies=strategies)
    return Experiment(
        metadata=ObjectMeta(
            name=message.name,
            namespace=message.namespace or "default",
            uid=message.uid or None,
            labels=dict(message.labels),
        ),
        spec=ExperimentSpec(
            parameters=tuple(map(parameter_from_pb, spec.parameter_specs.parameters)),
            objective=objective,
            algorithm=algorithm_from_pb(spec.algorithm) if spec.HasField("algorithm") else None,
            early_stopping=early_stopping_from_pb(spec.early_stopping)
            if spec.HasField("early_stopping")
            else None,
            parallel_trial_count=spec.parallel_trial_count or None,
            max_trial_count=spec.max_trial_count or None,
            max_failed_trial_count=spec.max_failed_trial_count
            if spec.HasField("max_failed_trial_count")
            else None,
            nas_config=nas_from_pb(spec.nas_config) if spec.HasField("nas_config") else None,
            resume_policy=spec.resume_policy or None,
            seed=spec.seed if spec.HasField("seed") else None,
        ),
    )


def parameter_to_pb(parameter: ParameterSpec) -> pb.ParameterSpec:
    """One parameter; a type or distribution that the wire does not know becomes its zero."""
    space = parameter.feasible_space
    return pb.ParameterSpec(
        name=parameter.name,
        parameter_type=PARAMETER_TYPES.number(parameter.parameter_type),
        feasible_space=pb.FeasibleSpace(
            max=space.max or "",
            min=space.min or "",
            list=space.list or (),
            step=space.step or "",
            distribution=DISTRIBUTIONS.number(space.distribution),
        ),
    )


def parameter_from_pb(message: pb.ParameterSpec) -> ParameterSpec:
    """One parameter."""
    space = message.feasible_space
    return ParameterSpec(
        name=message.name,
        parameter_type=PARAMETER_TYPES.value(message.parameter_type),
        feasible_space=FeasibleSpace(
            max=space.max or None,
            min=space.min or None,
            list=tuple(space.list) or None,
            step=space.step or None,
            distribution=DISTRIBUTIONS.value(space.distribution),
        ),
    )


def objective_to_pb(objective: Objective) -> pb.ObjectiveSpec:
    """The objective without its strategies, for which Katib's message has no room."""
    return pb.ObjectiveSpec(
        type=OBJECTIVE_TYPES.number(objective.type),
        goal=0.0 if objective.goal is None else objective.goal,
        goal_is_set=objective.goal is not None,
        objective_metric_name=objective.objective_metric_name,
        additional_metric_names=objective.additional_metric_names,
    )


def objective_from_pb(message: pb.ObjectiveSpec) -> Objective:
    """The objective; a goal of 0 counts only when the peer says that it was set."""
    return Objective(
        type=OBJECTIVE_TYPES.value(message.type),
        goal=message.goal if message.goal_is_set or message.goal else None,
        objective_metric_name=message.objective_metric_name,
        additional_metric_names=tuple(message.additional_metric_names),
    )


def algorithm_to_pb(algorithm: Algorithm) -> pb.AlgorithmSpec:
    """The search algorithm and its settings."""
    return pb.AlgorithmSpec(
        algorithm_name=algorithm.algorithm_name,
        algorithm_settings=[
            pb.AlgorithmSetting(name=setting.name, value=setting.value)
            for setting in algorithm.algorithm_settings
        ],
    )


def algorithm_from_pb(message: pb.AlgorithmSpec) -> Algorithm:
    """The search algorithm and its settings."""
    return Algorithm(
        algorithm_name=message.algorithm_name, algorithm_settings=_settings(message.algorithm_settings)
    )


def early_stopping_to_pb(algorithm: Algorithm) -> pb.EarlyStoppingSpec:
    """The early stopping algorithm and its settings."""
    return pb.EarlyStoppingSpec(
        algorithm_name=algorithm.algorithm_name,
        algorithm_settings=[
            pb.EarlyStoppingSetting(name=setting.name, value=setting.value)
            for setting in algorithm.algorithm_settings
        ],
    )


def early_stopping_from_pb(message: pb.EarlyStoppingSpec) -> Algorithm:
    """The early stopping algorithm and its settings."""
    return Algorithm(
        algorithm_name=message.algorithm_name, algorithm_settings=_settings(message.algorithm_settings)
    )


def nas_to_pb(nas: NasConfig) -> pb.NasConfig:
    """The architecture space."""
    graph = nas.graph_config
    return pb.NasConfig(
        graph_config=pb.GraphConfig(
            num_layers=graph.num_layers or 0, input_sizes=graph.input_sizes, output_sizes=graph.output_sizes
        ),
        operations=pb.NasConfig.Operations(operation=map(_operation_to_pb, nas.operations)),
    )


def nas_from_pb(message: pb.NasConfig) -> NasConfig:
    """The architecture space."""
    graph = message.graph_config
    return NasConfig(
        graph_config=GraphConfig(
            num_layers=graph.num_layers or None,
            input_sizes=tuple(graph.input_sizes),
            output_sizes=tuple(graph.output_sizes),
        ),
        operations=tuple(map(_operation_from_pb, message.operations.operation)),
    )


def _operation_to_pb(operation: Operation) -> pb.Operation:
    return pb.Operation(
        operation_type=operation.operation_type,
        parameter_specs=pb.Operation.ParameterSpecs(parameters=map(parameter_to_pb, operation.parameters)),
    )


def _operation_from_pb(message: pb.Operation) -> Operation:
    return Operation(
        operation_type=message.operation_type,
        parameters=tuple(map(parameter_from_pb, message.parameter_specs.parameters)),
    )


def _settings(
    messages: Iterable[pb.AlgorithmSetting] | Iterable[pb.EarlyStoppingSetting],
) -> tuple[NameValue, ...]:
    return tuple(NameValue(name=setting.name, value=setting.value) for setting in messages)
