"""Requests put together by hand, as a peer in another language would."""

from __future__ import annotations

import grpc

from katibpy.api.experiment import Experiment
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_experiment import experiment_to_pb
from tests.unit.rpc.parts import experiment

SUGGESTION = "api.v1.beta1.Suggestion"


def suggest(
    address: str, request: pb.GetSuggestionsRequest, *, service: str = SUGGESTION, seconds: float = 4.0
) -> pb.GetSuggestionsReply:
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            f"/{service}/GetSuggestions",
            request_serializer=pb.GetSuggestionsRequest.SerializeToString,
            response_deserializer=pb.GetSuggestionsReply.FromString,
        )
        reply: pb.GetSuggestionsReply = method(request, timeout=seconds)
        return reply


def asked(
    of: Experiment | None = None, *trials: pb.Trial, count: int = 1, **fields: object
) -> pb.GetSuggestionsRequest:
    request = pb.GetSuggestionsRequest(
        experiment=experiment_to_pb(of or experiment("scripted")),
        trials=trials,
        current_request_number=count,
        total_request_number=len(trials) + count,
        extended=True,
        history_size=len(trials),
    )
    for name, value in fields.items():
        if name == "removed_trials":
            request.removed_trials.extend(value)  # type: ignore[arg-type]
        else:
            setattr(request, name, value)
    return request


def done(number: int, loss: str = "1") -> pb.Trial:
    return pb.Trial(
        name=f"t{number}",
        uid=f"u{number}",
        number=number,
        spec=pb.TrialSpec(
            parameter_assignments=pb.TrialSpec.ParameterAssignments(
                assignments=[
                    pb.ParameterAssignment(name="lr", value="0.5"),
                    pb.ParameterAssignment(name="kind", value="a"),
                ]
            )
        ),
        status=pb.TrialStatus(
            condition=pb.TrialStatus.SUCCEEDED,
            observation=pb.Observation(metrics=[pb.Metric(name="loss", value=loss)]),
        ),
    )
