"""A program that serves an algorithm as Katib's users write it, and misbehaves as its Experiment is called.

    python plug_in_server.py PORT [HOST]

It behaves while there is no file `bad` in its directory, and towards Experiments of other names. It notes its
requests in the file that NOTES names, if any.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from katibpy.pb.v1beta1 import api_pb2 as pb

BAD = Path("bad")


def reply(*proposals: dict[str, str], trial_name: str = "") -> bytes:
    return pb.GetSuggestionsReply(
        parameter_assignments=[
            pb.GetSuggestionsReply.ParameterAssignments(
                assignments=[pb.ParameterAssignment(name=name, value=value) for name, value in pairs.items()],
                trial_name="" if place else trial_name,
            )
            for place, pairs in enumerate(proposals)
        ]
    ).SerializeToString()


def good(request: pb.GetSuggestionsRequest, count: int) -> list[dict[str, str]]:
    done = request.total_request_number - request.current_request_number
    return [{"x": f"{0.2 + 0.01 * (done + place):.2f}"} for place in range(count)]


def misbehave(request: pb.GetSuggestionsRequest, context: grpc.ServicerContext) -> bytes | None:
    """The bad answer of an Experiment of that name; None when it behaves."""
    count, name = request.current_request_number, request.experiment.name
    if not BAD.exists() or (not request.trials and name != "duplicate"):
        return None
    match name:
        case "hangs":
            while context.is_active() and BAD.exists():
                time.sleep(0.02)
            return b""
        case "too-few":
            return reply(*good(request, count - 1))
        case "too-many":
            return reply(*good(request, count + 1))
        case "out-of-space":
            return reply(*[{"x": "0.95"}] * count)
        case "duplicate":
            return reply(*[{"x": "0.5"}] * count)
        case "not-a-number":
            return reply(*[{"x": "a half"}] * count)
        case "incomplete":
            return reply(*[{"y": "0.5"}] * count)
        case "taken-name":
            return reply(*good(request, count), trial_name=request.trials[0].name)
        case "no-message":
            return b"\xff\xfe\xfd"
        case "fails":
            context.abort(grpc.StatusCode.UNKNOWN, "Exception calling application: division by zero")
        case "dies":
            os.write(2, b"out of ideas\n")
            os._exit(7)
    return None


def suggest(request: pb.GetSuggestionsRequest, context: grpc.ServicerContext) -> bytes:
    if "NOTES" in os.environ:
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(f"{request.experiment.name} {os.getpid()}\n")
    bad = misbehave(request, context)
    return reply(*good(request, request.current_request_number)) if bad is None else bad


def validate(request: Any, context: grpc.ServicerContext) -> bytes:
    for setting in request.experiment.spec.algorithm.algorithm_settings:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown setting {setting.name}")
    return b""


def main(port: str, host: str = "127.0.0.1") -> None:
    methods = {
        "GetSuggestions": grpc.unary_unary_rpc_method_handler(
            suggest, request_deserializer=pb.GetSuggestionsRequest.FromString
        ),
        "ValidateAlgorithmSettings": grpc.unary_unary_rpc_method_handler(
            validate, request_deserializer=pb.ValidateAlgorithmSettingsRequest.FromString
        ),
    }
    handler = grpc.method_handlers_generic_handler("api.v1.beta1.Suggestion", methods)
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    server.add_insecure_port(f"{host}:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
