"""What a planner can ask for. `katibpy.controller.perform` maps each instruction to one port call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from katibpy.api.experiment import Experiment, ExperimentStatus
from katibpy.api.suggestion import Suggestion, SuggestionStatus, TrialAssignment
from katibpy.api.trial import StopRequest, Trial, TrialStatus
from katibpy.core.records import StoredProposal

S = TypeVar("S", ExperimentStatus, SuggestionStatus, TrialStatus)


@dataclass(frozen=True, slots=True)
class CreateSuggestion:
    """Store the Suggestion of an Experiment."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class RequestProposals:
    """Raise `spec.requests` of the Suggestion (or follow an edit of its spec)."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class CreateTrial:
    """Make the Trial of a proposal."""

    experiment: Experiment
    proposal: StoredProposal


@dataclass(frozen=True, slots=True)
class RequestStop:
    """Ask an active Trial to end with the given phase."""

    namespace: str
    trial_name: str
    trial_uid: str
    request: StopRequest


@dataclass(frozen=True, slots=True)
class ValidateSettings:
    """Ask the algorithm service whether it accepts the Experiment."""

    experiment: Experiment


@dataclass(frozen=True, slots=True)
class AskAlgorithm:
    """Ask the algorithm service for `count` proposals, `total` being their number so far and these."""

    experiment: Experiment
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class SaveReply:
    """Save proposals, memory and the Suggestion's status in one transaction; replaces the status write."""

    proposals: tuple[TrialAssignment, ...]
    memory: bytes | None


@dataclass(frozen=True, slots=True)
class ReleaseAlgorithm:
    """The Experiment has ended: end what serves its algorithm for it alone."""

    experiment: Experiment


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start the Trial's run and follow its metrics."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class DropMetrics:
    """Forget what a run reported that was withdrawn."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class FollowMetrics:
    """Follow the metrics of a run that was started by an earlier controller."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class StopRun:
    """End the Trial's run."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class DrainMetrics:
    """The run has ended: collect the rest of its metrics."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class ReleaseRun:
    """Free what a finished Trial's run and its collection hold."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class DeleteOwned:
    """Mark what a deleted Experiment owns as deleted too, whatever came to be after its deletion."""

    experiment: Experiment


@dataclass(frozen=True, slots=True)
class RemoveTrial:
    """Take a deleted Trial out, with its observations."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class RemoveSuggestion:
    """Take a deleted Suggestion out."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class RemoveExperiment:
    """Take a deleted Experiment out that owns nothing any more."""

    experiment: Experiment


Instruction: TypeAlias = (
    CreateSuggestion
    | RequestProposals
    | CreateTrial
    | RequestStop
    | ValidateSettings
    | AskAlgorithm
    | SaveReply
    | ReleaseAlgorithm
    | StartRun
    | DropMetrics
    | FollowMetrics
    | StopRun
    | DrainMetrics
    | ReleaseRun
    | DeleteOwned
    | RemoveTrial
    | RemoveSuggestion
    | RemoveExperiment
)


@dataclass(frozen=True, slots=True)
class Plan(Generic[S]):
    """What to do about one resource.

    Attributes:
        status: the status it should have; written last, after all instructions.
        instructions: in the order to perform them.
        again_after_seconds: look at the resource again at the latest then, although nothing happened.
    """

    status: S
    instructions: tuple[Instruction, ...] = ()
    again_after_seconds: float | None = None
