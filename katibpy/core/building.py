"""Resources that planners derive from other resources."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache

from katibpy.api.experiment import Experiment, MetricsCollectorSpec, Objective, TrialTemplate
from katibpy.api.lineage import checkpoint_path_of
from katibpy.api.model import API_VERSION, Condition, NameValue, ObjectMeta, OwnerReference
from katibpy.api.status_conditions import set_condition
from katibpy.api.suggestion import Suggestion, SuggestionSpec, SuggestionStatus, TrialAssignment
from katibpy.api.template import CompiledTemplate
from katibpy.api.trial import EXPERIMENT_LABEL, Trial, TrialSpec, TrialStatus
from katibpy.core.records import StoredProposal
from katibpy.core.views import Proposed

TRIAL_CREATED = Condition(type="Created", reason="TrialCreated", message="Trial is created")
"""The first condition of a Trial, without its times."""

# Copies of these are the fastest way to make a resource, and every part put into one is valid already.
_ASSIGNMENT = TrialAssignment(name="")
_TRIAL, _META, _SPEC, _STATUS = Trial(), ObjectMeta(), TrialSpec(), TrialStatus()
_SUGGESTION_SPEC = SuggestionSpec()

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no accidental words, as Kubernetes does


def trial_name(experiment_name: str, experiment_uid: str, number: int) -> str:
    """`<experiment>-<8 characters>`; the same for the same proposal, whoever computes it."""
    digest = hashlib.sha256(f"{experiment_uid}/{number}".encode()).digest()
    value = int.from_bytes(digest[:8], "big")
    letters = []
    for _ in range(8):
        value, index = divmod(value, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return f"{experiment_name}-{''.join(letters)}"


def owner_of(experiment: Experiment) -> OwnerReference:
    """The reference by which Trials and the Suggestion belong to their Experiment."""
    return _owners(experiment.metadata.name, experiment.metadata.uid or "")[0]


@lru_cache(maxsize=256)
def _owners(experiment_name: str, experiment_uid: str) -> tuple[OwnerReference]:
    # All Trials share it: it is as large as everything else in their metadata.
    owner = OwnerReference(
        kind="Experiment",
        name=experiment_name,
        uid=experiment_uid,
        controller=True,
        block_owner_deletion=True,
    )
    return (owner,)


def suggestion_of(experiment: Experiment, short: int, *, made: int = 0) -> Suggestion:
    """The Suggestion that an Experiment starts with.

    Args:
        experiment: whose Suggestion it is.
        short: how many proposals are wanted now.
        made: how many there have been before, under a Suggestion that was deleted; numbers go on from there.
    """
    meta = experiment.metadata
    return Suggestion(
        api_version=API_VERSION,
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            labels={**meta.labels, EXPERIMENT_LABEL: meta.name},
            annotations=meta.annotations,
            owner_references=(owner_of(experiment),),
        ),
        spec=suggestion_spec(experiment, made + short),
        status=SuggestionStatus(suggestion_count=made),
    )


def suggestion_spec(experiment: Experiment, requests: int) -> SuggestionSpec:
    """What the Suggestion's spec should be now."""
    spec = experiment.spec
    base = _SUGGESTION_SPEC.but(
        early_stopping=spec.early_stopping, requests=requests, resume_policy=spec.resume_policy
    )
    return base if spec.algorithm is None else base.but(algorithm=spec.algorithm)


def assignment_of(experiment: Experiment, proposed: Proposed, number: int) -> TrialAssignment:
    """A proposal of a reply as it is saved, with the name of its future Trial."""
    meta = experiment.metadata
    return _ASSIGNMENT.but(
        name=proposed.name or trial_name(meta.name, meta.uid or "", number),
        parameter_assignments=proposed.assignments,
        early_stopping_rules=proposed.rules,
        labels=dict(proposed.labels) if proposed.labels else _ASSIGNMENT.labels,
    )


def trial_of(
    experiment: Experiment, proposal: StoredProposal, *, template: CompiledTemplate, now: datetime
) -> Trial:
    """The Trial of a proposal.

    Args:
        experiment: whose Trial it is.
        proposal: the saved proposal.
        template: the Experiment's trial template, compiled.
        now: becomes start time and time of the Created condition.

    Raises:
        InvalidResource: the assignment and the template's parameters do not fit.
    """
    meta, spec, assignment = experiment.metadata, experiment.spec, proposal.assignment
    source = spec.trial_template or TrialTemplate()
    run_spec = template.render(
        {item.name: item.value for item in assignment.parameter_assignments},
        trial_name=assignment.name,
        namespace=meta.namespace,
    )
    return _TRIAL.but(
        api_version=API_VERSION,
        kind="Trial",
        metadata=_META.but(
            name=assignment.name,
            namespace=meta.namespace,
            labels={**meta.labels, **assignment.labels, EXPERIMENT_LABEL: meta.name},
            owner_references=_owners(meta.name, meta.uid or ""),
        ),
        spec=_SPEC.but(
            objective=spec.objective or Objective(),
            parameter_assignments=assignment.parameter_assignments,
            early_stopping_rules=assignment.early_stopping_rules,
            run_spec=run_spec,
            retain_run=source.retain,
            metrics_collector=spec.metrics_collector_spec or MetricsCollectorSpec(),
            primary_pod_labels=source.primary_pod_labels,
            primary_container_name=source.primary_container_name,
            success_condition=source.success_condition,
            failure_condition=source.failure_condition,
            labels=assignment.labels,
            number=proposal.number,
            checkpoint_path=checkpoint_path_of(experiment),
        ),
        status=_STATUS.but(start_time=now, conditions=set_condition((), TRIAL_CREATED, now)),
    )


def merged_settings(
    settings: tuple[NameValue, ...], overriding: tuple[NameValue, ...]
) -> tuple[NameValue, ...]:
    """Settings in order, values replaced by those of the same name, new names at the end."""
    values = {item.name: item for item in settings}
    values.update((item.name, item) for item in overriding)
    return tuple(values.values())
