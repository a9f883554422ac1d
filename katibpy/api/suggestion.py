"""The Suggestion resource: how many assignments an Experiment asked for and what came back."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from katibpy.api.experiment import Algorithm
from katibpy.api.model import Condition, Model, NameValue, Resource, Text, Timestamp


class EarlyStoppingRule(Model):
    """Stop when the metric `name` compares so to `value` after `start_step` reports."""

    name: str
    value: Text
    comparison: Text
    start_step: int = 0


class TrialAssignment(Model):
    """One proposal: the name its Trial will have and what to run it with."""

    name: str
    parameter_assignments: tuple[NameValue, ...] = ()
    early_stopping_rules: tuple[EarlyStoppingRule, ...] = ()
    labels: dict[str, Text] = Field(default_factory=dict)


class SuggestionSpec(Model):
    """What is asked of the algorithm; `requests` is the total number of proposals wanted so far."""

    algorithm: Algorithm = Field(default_factory=Algorithm)
    early_stopping: Algorithm | None = None
    requests: int = 0
    resume_policy: Text | None = None


class SuggestionStatus(Model):
    """What the algorithm gave. `suggestions` shows the newest reply, at most 100 proposals."""

    algorithm_settings: tuple[NameValue, ...] = ()
    suggestion_count: int = 0
    suggestions: tuple[TrialAssignment, ...] = ()
    start_time: Timestamp | None = None
    completion_time: Timestamp | None = None
    last_reconcile_time: Timestamp | None = None
    conditions: tuple[Condition, ...] = ()
    exhausted: bool = False
    """Extension: the algorithm has no further proposals."""
    note: str | None = None
    """Extension: what the algorithm chose and why, in words."""


class Suggestion(Resource):
    """A Suggestion; it has the name and namespace of its Experiment."""

    kind: Literal["Suggestion"] = "Suggestion"
    spec: SuggestionSpec = Field(default_factory=SuggestionSpec)
    status: SuggestionStatus = Field(default_factory=SuggestionStatus)
