"""What the CRD schemas say beyond types: descriptions, allowed words, bounds, defaults and cross-field rules.

Rules are in CEL, Kubernetes' expression language. Lists and strings that a rule walks through have an upper
bound, because Kubernetes refuses a schema whose rules could take too long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from katibpy.api.experiment import (
    Algorithm,
    Collector,
    ConfigMapSource,
    Experiment,
    ExperimentSpec,
    ExperimentStatus,
    FeasibleSpace,
    FileSystemPath,
    Filter,
    GraphConfig,
    HttpGet,
    MetricsCollectorSpec,
    MetricStrategy,
    NasConfig,
    Objective,
    ObjectiveType,
    Operation,
    ParameterSpec,
    ResumePolicy,
    StrategyType,
    TrialParameter,
    TrialTemplate,
)
from katibpy.api.model import Condition, Model, NameValue
from katibpy.api.shapes import IntegerShape, fields_of
from katibpy.api.suggestion import EarlyStoppingRule, SuggestionSpec, SuggestionStatus, TrialAssignment
from katibpy.api.trial import TrialSpec
from katibpy.api.validate_collector import FORMATS, KINDS
from katibpy.api.validate_metadata import MAX_NAME_LENGTH
from katibpy.api.validate_parameters import DISTRIBUTIONS, PARAMETER_TYPES
from katibpy.api.validate_update import BUDGET_FIELDS

MAX_PARAMETERS = 1000
MAX_OPERATIONS = 100
MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression that must be true, and what to say when it is not."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelRules:
    """What the schema of one type says beyond the types of its fields.

    Attributes:
        required: fields that must be there.
        fields: additions to the schema of a field, by its name in YAML.
        rules: about several fields together.
    """

    required: Sequence[str] = ()
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: Sequence[Rule] = ()


def _about(description: str, **additions: Any) -> dict[str, Any]:
    return {"description": description, **additions}


def _frozen_fields() -> tuple[Rule, ...]:
    frozen = [
        info.alias or name
        for name, info in ExperimentSpec.model_fields.items()
        if info.alias not in BUDGET_FIELDS
    ]
    return tuple(
        Rule(
            f"has(self.{name}) == has(oldSelf.{name}) && "
            f"(!has(self.{name}) || self.{name} == oldSelf.{name})",
            f"{name} must not change once the experiment exists; only {', '.join(BUDGET_FIELDS)} may",
        )
        for name in frozen
    )


_NAME = {"minLength": 1, "maxLength": MAX_NAME}
_CONDITION_TEXT = "GJSON path into the job that leads to something once it has"
_COUNT = {"format": "int32", "minimum": 0}

RULES: Mapping[type[Model], ModelRules] = {
    Experiment: ModelRules(
        required=("spec",),
        rules=(
            Rule(
                f"self.metadata.name.size() <= {MAX_NAME_LENGTH} && "
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name must start with a lower case letter, end with a lower case letter or digit, "
                f"have only these and '-' between, and at most {MAX_NAME_LENGTH} characters",
            ),
        ),
    ),
    ExperimentSpec: ModelRules(
        required=("objective", "trialTemplate"),
        fields={
            "parameters": _about(
                "The search space: one entry for each hyperparameter.", maxItems=MAX_PARAMETERS
            ),
            "objective": _about("The metric to optimise."),
            "algorithm": _about("How parameters are searched; auto when left out."),
            "earlyStopping": _about("When trials that will not win are stopped."),
            "trialTemplate": _about("What every trial runs."),
            "parallelTrialCount": _about(
                "How many trials may run at a time; 3 when left out, or maxTrialCount if that is less.",
                format="int32",
                minimum=1,
            ),
            "maxTrialCount": _about("How many trials there may be in all.", format="int32", minimum=1),
            "maxFailedTrialCount": _about(
                "How many trials may fail before the experiment fails.", format="int32", minimum=0
            ),
            "metricsCollectorSpec": _about(
                "How metrics are collected.", default={"collector": {"kind": "StdOut"}}
            ),
            "nasConfig": _about("The search space of a neural architecture search, in place of parameters."),
            "resumePolicy": _about(
                "Whether the experiment may go on with a larger maxTrialCount after its end.",
                enum=[policy.value for policy in ResumePolicy],
                default=ResumePolicy.NEVER.value,
            ),
            "seed": _about(
                "Makes the assignments of a sequential run repeatable.", format="int64", minimum=0
            ),
        },
        rules=(
            Rule(
                "has(self.nasConfig) != (has(self.parameters) && self.parameters.size() > 0)",
                "either parameters or nasConfig must be set, and not both",
            ),
            Rule(
                "!has(self.nasConfig) || (has(self.algorithm) && has(self.algorithm.algorithmName))",
                "algorithm.algorithmName must be set with nasConfig; only with parameters there is a default",
            ),
            Rule(
                "!has(self.earlyStopping) || has(self.earlyStopping.algorithmName)",
                "earlyStopping.algorithmName must be set",
            ),
            Rule(
                "!has(self.parallelTrialCount) || !has(self.maxTrialCount) || "
                "self.parallelTrialCount <= self.maxTrialCount",
                "parallelTrialCount must be at most maxTrialCount",
            ),
            Rule(
                "!has(self.maxFailedTrialCount) || !has(self.maxTrialCount) || "
                "self.maxFailedTrialCount <= self.maxTrialCount",
                "maxFailedTrialCount must be at most maxTrialCount",
            ),
            *_frozen_fields(),
        ),
    ),
    ParameterSpec: ModelRules(
        required=("name", "parameterType", "feasibleSpace"),
        fields={
            "name": _about("Name of the hyperparameter.", **_NAME),
            "parameterType": _about("What its values are.", enum=list(PARAMETER_TYPES)),
            "feasibleSpace": _about("Which values it may have."),
        },
        rules=(
            Rule(
                "!(self.parameterType in ['int', 'double']) || (has(self.feasibleSpace.min) && "
                "has(self.feasibleSpace.max) && !has(self.feasibleSpace.list))",
                "int and double must have min and max, and no list",
            ),
            Rule(
                "self.parameterType in ['int', 'double'] || (has(self.feasibleSpace.list) && "
                "!has(self.feasibleSpace.min) && !has(self.feasibleSpace.max) && "
                "!has(self.feasibleSpace.step))",
                "discrete and categorical must have a list, and no min, max or step",
            ),
        ),
    ),
    FeasibleSpace: ModelRules(
        fields={
            "min": _about("Least value, a number written as a string.", minLength=1),
            "max": _about("Greatest value, a number written as a string.", minLength=1),
            "step": _about("Distance between values, a number written as a string.", minLength=1),
            "list": _about("All values, written as strings.", minItems=1),
            "distribution": _about("How values are drawn.", enum=list(DISTRIBUTIONS)),
        },
    ),
    Objective: ModelRules(
        required=("type", "objectiveMetricName"),
        fields={
            "type": _about("Which way is better.", enum=[kind.value for kind in ObjectiveType]),
            "goal": _about("The experiment ends once a trial reaches this.", format="double"),
            "objectiveMetricName": _about("The metric to optimise.", **_NAME),
            "additionalMetricNames": _about(
                "Metrics that are collected as well.", maxItems=MAX_PARAMETERS, items=_NAME
            ),
            "metricStrategies": _about("Which observation of a metric counts.", maxItems=MAX_PARAMETERS),
        },
        rules=(
            Rule(
                "!has(self.additionalMetricNames) || "
                "!(self.objectiveMetricName in self.additionalMetricNames)",
                "additionalMetricNames must not have objectiveMetricName",
            ),
        ),
    ),
    MetricStrategy: ModelRules(
        required=("name", "value"),
        fields={"name": _NAME, "value": {"enum": [kind.value for kind in StrategyType]}},
    ),
    Algorithm: ModelRules(
        fields={
            "algorithmName": _about("Name of the algorithm.", **_NAME),
            "algorithmSettings": _about("Its settings; values are strings."),
        },
    ),
    NameValue: ModelRules(required=("name", "value"), fields={"name": _NAME}),
    TrialTemplate: ModelRules(
        required=("trialParameters", "primaryContainerName"),
        fields={
            "retain": _about("Whether the job is kept after its end.", default=False),
            "trialSpec": _about("The job, with placeholders ${trialParameters.<name>}."),
            "configMap": _about("Where the job is kept instead."),
            "trialParameters": _about("The placeholders and what they stand for."),
            "primaryPodLabels": _about(
                "Labels of the pod that reports metrics, where a job has several pods."
            ),
            "primaryContainerName": _about("The container that reports metrics.", **_NAME),
            "successCondition": _about(f"{_CONDITION_TEXT} succeeded; known for the usual jobs."),
            "failureCondition": _about(f"{_CONDITION_TEXT} failed; known for the usual jobs."),
        },
        rules=(
            Rule(
                "has(self.trialSpec) != has(self.configMap)",
                "either trialSpec or configMap must be set, and not both",
            ),
        ),
    ),
    TrialParameter: ModelRules(
        required=("name", "reference"),
        fields={
            "name": _about("Name of the placeholder.", **_NAME, pattern="^[^{}]+$"),
            "reference": _about("Name of the hyperparameter, or ${trialSpec...}.", **_NAME),
        },
    ),
    ConfigMapSource: ModelRules(
        required=("configMapName", "configMapNamespace", "templatePath"),
        fields=dict.fromkeys(("configMapName", "configMapNamespace", "templatePath"), _NAME),
    ),
    MetricsCollectorSpec: ModelRules(
        fields={
            "source": _about("What the collector reads."),
            "collector": _about("The kind of collector.", default={"kind": "StdOut"}),
        },
    ),
    Collector: ModelRules(
        fields={
            "kind": _about("Where metrics come from.", enum=list(KINDS), default="StdOut"),
            "customCollector": _about("A container that collects, for kind Custom."),
        },
        rules=(
            Rule(
                "self.kind != 'Custom' || has(self.customCollector)",
                "kind Custom must have a customCollector",
            ),
        ),
    ),
    FileSystemPath: ModelRules(
        fields={
            "path": _about("Absolute path.", pattern="^/"),
            "kind": {"enum": ["File", "Directory"]},
            "format": {"enum": list(FORMATS)},
        },
    ),
    Filter: ModelRules(
        fields={"metricsFormat": _about("Regular expressions with two groups: metric name and value.")},
    ),
    HttpGet: ModelRules(
        fields={"path": {"pattern": "^/"}, "scheme": {"enum": ["HTTP", "HTTPS"]}},
    ),
    NasConfig: ModelRules(
        required=("graphConfig", "operations"), fields={"operations": {"maxItems": MAX_OPERATIONS}}
    ),
    GraphConfig: ModelRules(
        required=("numLayers",),
        fields={
            "numLayers": {"format": "int32", "minimum": 1},
            "inputSizes": {"items": {"format": "int32", "minimum": 1}},
            "outputSizes": {"items": {"format": "int32", "minimum": 1}},
        },
    ),
    Operation: ModelRules(
        required=("operationType", "parameters"),
        fields={"operationType": _NAME, "parameters": {"minItems": 1, "maxItems": MAX_OPERATIONS}},
    ),
    ExperimentStatus: ModelRules(
        fields=dict.fromkeys(
            (alias for alias, field in fields_of(ExperimentStatus).items() if field.shape == IntegerShape()),
            _COUNT,
        ),
    ),
    Condition: ModelRules(
        required=("type", "status"), fields={"status": {"enum": ["True", "False", "Unknown"]}}
    ),
    EarlyStoppingRule: ModelRules(
        required=("name", "value", "comparison"),
        fields={"comparison": {"enum": ["equal", "less", "greater"]}, "startStep": {"minimum": 0}},
    ),
    TrialAssignment: ModelRules(required=("name",)),
    SuggestionSpec: ModelRules(
        required=("algorithm",),
        fields={
            "requests": _about("How many assignments are wanted in all.", **_COUNT),
            "resumePolicy": {"enum": [policy.value for policy in ResumePolicy]},
        },
    ),
    SuggestionStatus: ModelRules(
        fields={
            "suggestionCount": _COUNT,
            "exhausted": _about("The algorithm has nothing more to propose."),
            "note": _about("What the algorithm chose and why."),
        },
    ),
    TrialSpec: ModelRules(
        required=("objective", "parameterAssignments", "runSpec"),
        fields={
            "runSpec": _about("The job of this trial, without placeholders."),
            "checkpointPath": _about("Where the trial sees its own checkpoint directory."),
        },
    ),
}
"""Additions by type; a type without an entry has no more than the types of its fields."""
