"""Reply <-> GetSuggestionsReply, and the memory's two ways over the wire."""

from __future__ import annotations

import base64
import binascii

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.api.experiment import Experiment
from katibpy.errors import BadReply, InvalidSettings
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.names import MEMORY_SETTING


def reply_to_pb(reply: Reply, *, extended: bool, algorithm_name: str = "") -> pb.GetSuggestionsReply:
    """The message; a caller without extensions gets the memory as a setting that it will send back."""
    settings = dict(reply.settings)
    if not extended and reply.memory is not None:
        settings[MEMORY_SETTING] = base64.b64encode(reply.memory).decode("ascii")
    message = pb.GetSuggestionsReply(
        parameter_assignments=map(_proposal_to_pb, reply.proposals),
        memory=(reply.memory or b"") if extended else b"",
        memory_is_set=extended and reply.memory is not None,
        exhausted=reply.exhausted,
        note=reply.note,
        extended=extended,
    )
    if settings:
        message.algorithm.algorithm_name = algorithm_name
        message.algorithm.algorithm_settings.extend(
            pb.AlgorithmSetting(name=name, value=value) for name, value in settings.items()
        )
    return message


def reply_from_pb(message: pb.GetSuggestionsReply) -> Reply:
    """The reply as the service gave it.

    Raises:
        BadReply: a parameter is assigned twice in one proposal.
    """
    return Reply(
        proposals=tuple(
            _proposal_from_pb(place, each) for place, each in enumerate(message.parameter_assignments)
        ),
        memory=message.memory if message.memory_is_set else None,
        exhausted=message.exhausted,
        settings={setting.name: setting.value for setting in message.algorithm.algorithm_settings},
        note=message.note,
    )


def without_memory_setting(experiment: Experiment) -> tuple[Experiment, bytes | None]:
    """The Experiment as the user wrote it, and the memory that came along as a setting.

    Raises:
        InvalidSettings: the setting does not hold what a reply gave.
    """
    algorithm = experiment.spec.algorithm
    carried = {s.name: s.value for s in algorithm.algorithm_settings} if algorithm else {}
    if algorithm is None or MEMORY_SETTING not in carried:
        return experiment, None
    try:
        memory = base64.b64decode(carried[MEMORY_SETTING], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSettings(
            [f"setting {MEMORY_SETTING} is the algorithm's own memory and must be left as it was: {error}"]
        ) from error
    settings = tuple(s for s in algorithm.algorithm_settings if s.name != MEMORY_SETTING)
    spec = experiment.spec.but(algorithm=algorithm.but(algorithm_settings=settings))
    return experiment.but(spec=spec), memory


def _proposal_to_pb(proposal: Proposal) -> pb.GetSuggestionsReply.ParameterAssignments:
    return pb.GetSuggestionsReply.ParameterAssignments(
        assignments=[
            pb.ParameterAssignment(name=name, value=value) for name, value in proposal.assignment.items()
        ],
        trial_name=proposal.trial_name or "",
        labels=proposal.labels,
    )


def _proposal_from_pb(place: int, message: pb.GetSuggestionsReply.ParameterAssignments) -> Proposal:
    assignment = {pair.name: pair.value for pair in message.assignments}
    if len(assignment) < len(message.assignments):
        raise BadReply(f"proposal {place} of the algorithm service assigns a parameter twice")
    return Proposal(assignment, message.trial_name or None, dict(message.labels))
