"""Small resources for tests, simulations and benchmarks, said in few words.

Whatever a caller leaves out is filled in so that the result is valid and has all defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import (
    Algorithm,
    Experiment,
    ExperimentSpec,
    FeasibleSpace,
    Metric,
    Objective,
    Observation,
    ParameterSpec,
    TrialParameter,
    TrialTemplate,
)
from katibpy.api.model import Condition, NameValue, ObjectMeta
from katibpy.api.suggestion import Suggestion, SuggestionStatus, TrialAssignment
from katibpy.api.template import compile_template
from katibpy.api.trial import StopRequest, Trial, TrialStatus
from katibpy.core.building import suggestion_of, trial_name, trial_of
from katibpy.core.phases import TrialPhase
from katibpy.core.records import StoredProposal

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
"""When everything built here happens."""


def moment(seconds: float = 0.0) -> datetime:
    """So many seconds after `MOMENT`."""
    return MOMENT + timedelta(seconds=seconds)


# Parts of a spec.


def minimize(metric: str = "loss", *, goal: float | None = None, also: tuple[str, ...] = ()) -> Objective:
    """The objective to minimise a metric; `also` names additional metrics."""
    return Objective(type="minimize", goal=goal, objective_metric_name=metric, additional_metric_names=also)


def maximize(metric: str = "accuracy", *, goal: float | None = None, also: tuple[str, ...] = ()) -> Objective:
    """The objective to maximise a metric; `also` names additional metrics."""
    return minimize(metric, goal=goal, also=also).but(type="maximize")


def algorithm(name: str, **settings: object) -> Algorithm:
    """A search or early stopping algorithm with its settings."""
    pairs = tuple(NameValue(name=key, value=str(value)) for key, value in settings.items())
    return Algorithm(algorithm_name=name, algorithm_settings=pairs)


def double(
    name: str, minimum: float, maximum: float, *, step: float | None = None, distribution: str | None = None
) -> ParameterSpec:
    """A parameter of real numbers."""
    return _numeric("double", name, {"min": minimum, "max": maximum, "step": step}, distribution)


def integer(
    name: str, minimum: int, maximum: int, *, step: int | None = None, distribution: str | None = None
) -> ParameterSpec:
    """A parameter of whole numbers."""
    return _numeric("int", name, {"min": minimum, "max": maximum, "step": step}, distribution)


def categorical(name: str, *choices: str) -> ParameterSpec:
    """A parameter of choices without an order."""
    return ParameterSpec(name=name, parameter_type="categorical", feasible_space=FeasibleSpace(list=choices))


def discrete(name: str, *values: float) -> ParameterSpec:
    """A parameter of listed numbers."""
    space = FeasibleSpace(list=tuple(f"{value:g}" for value in values))
    return ParameterSpec(name=name, parameter_type="discrete", feasible_space=space)


def job_template(*parameters: str) -> TrialTemplate:
    """A `batch/v1` Job whose command gets every parameter as `--name=value`."""
    arguments = [f"--{name}=${{trialParameters.{name}}}" for name in parameters]
    container = {"name": "training", "image": "training", "command": ["train", *arguments]}
    return TrialTemplate(
        primary_container_name="training",
        trial_parameters=tuple(TrialParameter(name=name, reference=name) for name in parameters),
        trial_spec={
            "apiVersion": "batch/v1",
            "kind": "Job",
            "spec": {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}},
        },
    )


# Resources.


def experiment(name: str = "tune", *, namespace: str = "default", **spec: Any) -> Experiment:
    """An Experiment with defaults filled in; `spec` takes the attributes of `ExperimentSpec`.

    Unless said otherwise, it minimises `loss` over one real parameter `lr` with random search.
    """
    chosen = {
        "objective": minimize(),
        "algorithm": algorithm("random"),
        "parameters": (double("lr", 0.0, 1.0),),
        **spec,
    }
    chosen.setdefault("trial_template", job_template(*(each.name for each in chosen["parameters"])))
    return with_defaults(
        Experiment(metadata=ObjectMeta(name=name, namespace=namespace), spec=ExperimentSpec(**chosen))
    )


def as_stored(resource: Experiment, *, uid: str = "") -> Experiment:
    """The Experiment as a store hands it out: with uid, versions and creation time."""
    metadata = resource.metadata.but(
        uid=uid or f"uid-of-{resource.metadata.name}",
        resource_version="1",
        generation=1,
        creation_timestamp=MOMENT,
    )
    return resource.but(metadata=metadata)


def suggestion(owner: Experiment, requests: int = 0, **status: Any) -> Suggestion:
    """The Suggestion of a stored Experiment; `status` takes the attributes of `SuggestionStatus`."""
    built = suggestion_of(owner, requests)
    metadata = built.metadata.but(
        uid=f"suggestion-of-{owner.metadata.uid}",
        resource_version="1",
        generation=1,
        creation_timestamp=MOMENT,
    )
    return built.but(metadata=metadata, status=SuggestionStatus(**status))


def proposal(owner: Experiment, number: int, **assignments: object) -> StoredProposal:
    """A proposal of a stored Experiment; parameters that are not given are `0.5`."""
    values = {each.name: "0.5" for each in owner.spec.parameters}
    values |= {name: str(value) for name, value in assignments.items()}
    meta = owner.metadata
    return StoredProposal(
        number,
        TrialAssignment(
            name=trial_name(meta.name, meta.uid or "", number),
            parameter_assignments=tuple(NameValue(name=name, value=text) for name, text in values.items()),
        ),
    )


def trial(
    owner: Experiment,
    number: int,
    phase: TrialPhase = TrialPhase.PENDING,
    *,
    metrics: Mapping[str, object] | None = None,
    **status: Any,
) -> Trial:
    """A stored Trial of a stored Experiment.

    Args:
        owner: whose Trial it is.
        number: its creation order; its name follows from that.
        phase: where it is; conditions and completion time fit it.
        metrics: metric name to the value that is its min, max and latest.
        **status: further attributes of `TrialStatus`.
    """
    template = compile_template(owner.spec.trial_template or TrialTemplate())
    built = trial_of(owner, proposal(owner, number), template=template, now=MOMENT)
    metadata = built.metadata.but(
        uid=f"{owner.metadata.uid}-trial-{number}",
        resource_version="1",
        generation=1,
        creation_timestamp=moment(number),
    )
    fields: dict[str, Any] = {"start_time": MOMENT, "conditions": trial_conditions(phase)}
    if not phase.is_active:
        fields["completion_time"] = moment(60)
    if metrics is not None:
        fields["observation"] = observation(metrics)
    return built.but(metadata=metadata, status=TrialStatus(**{**fields, **status}))


def observation(metrics: Mapping[str, object]) -> Observation:
    """What a trial measured when every metric had one value."""
    texts = {name: str(value) for name, value in metrics.items()}
    return Observation(
        metrics=tuple(Metric(name=name, min=text, max=text, latest=text) for name, text in texts.items())
    )


def trial_conditions(phase: TrialPhase) -> tuple[Condition, ...]:
    """The conditions of a Trial that came to a phase by the usual way."""
    created = condition("Created", reason="TrialCreated", message="Trial is created")
    if phase is TrialPhase.PENDING:
        return (created,)
    running = condition("Running", reason="TrialRunning", message="Trial is running")
    if phase is TrialPhase.RUNNING:
        return (created, running)
    return (created, running.but(status="False"), condition(phase.value, reason=f"Trial{phase.value}"))


def condition(kind: str, *, status: str = "True", reason: str = "", message: str = "") -> Condition:
    """A condition that was set at `MOMENT`."""
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_update_time=MOMENT,
        last_transition_time=MOMENT,
    )


def stop_request(phase: TrialPhase = TrialPhase.KILLED) -> StopRequest:
    """A request to end a Trial in that phase."""
    return StopRequest(
        phase=phase.value, reason=f"Trial{phase.value}", message="Trial was stopped on purpose"
    )


def _numeric(
    kind: str, name: str, bounds: Mapping[str, float | None], distribution: str | None
) -> ParameterSpec:
    texts = {key: f"{value:g}" for key, value in bounds.items() if value is not None}
    space = FeasibleSpace.model_validate({**texts, "distribution": distribution})
    return ParameterSpec(name=name, parameter_type=kind, feasible_space=space)
