"""An algorithm service as Katib's users write it: no extension, no knowledge of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from katibpy.pb.v1beta1 import api_pb2 as pb

Answer = Callable[[pb.GetSuggestionsRequest], pb.GetSuggestionsReply]


def assignments(count: int, **values: str) -> pb.GetSuggestionsReply:
    """A reply with these assignments, or with assignments that differ when none is given."""
    all_pairs = [values or {"lr": f"{0.5 + place / 1e6:g}", "kind": "a"} for place in range(count)]
    return pb.GetSuggestionsReply(
        parameter_assignments=[
            pb.GetSuggestionsReply.ParameterAssignments(
                assignments=[pb.ParameterAssignment(name=name, value=value) for name, value in pairs.items()]
            )
            for pairs in all_pairs
        ]
    )


@dataclass
class KatibPeer:
    """Notes its requests; answers exactly what it is asked for unless told otherwise.

    Attributes:
        answer: makes the reply.
        refusal: code and details of the validation, None when it accepts.
        has_validation: whether the method is there at all.
    """

    answer: Answer = lambda request: assignments(request.current_request_number)
    refusal: tuple[grpc.StatusCode, str] | None = None
    has_validation: bool = True
    requests: list[pb.GetSuggestionsRequest] = field(default_factory=list)

    def suggest(
        self, request: pb.GetSuggestionsRequest, context: grpc.ServicerContext
    ) -> pb.GetSuggestionsReply:
        self.requests.append(request)
        return self.answer(request)

    def validate(
        self, request: pb.ValidateAlgorithmSettingsRequest, context: grpc.ServicerContext
    ) -> pb.ValidateAlgorithmSettingsReply:
        if self.refusal is not None:
            context.abort(*self.refusal)
        return pb.ValidateAlgorithmSettingsReply()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serves on loopback and gives the address."""
        methods: dict[str, grpc.RpcMethodHandler[object, object]] = {
            "GetSuggestions": grpc.unary_unary_rpc_method_handler(
                self.suggest, pb.GetSuggestionsRequest.FromString, pb.GetSuggestionsReply.SerializeToString
            )
        }
        if self.has_validation:
            methods["ValidateAlgorithmSettings"] = grpc.unary_unary_rpc_method_handler(
                self.validate,
                pb.ValidateAlgorithmSettingsRequest.FromString,
                pb.ValidateAlgorithmSettingsReply.SerializeToString,
            )
        handler = grpc.method_handlers_generic_handler("api.v1.beta1.Suggestion", methods)
        with ThreadPoolExecutor(4) as pool:
            server = grpc.server(pool, handlers=[handler])
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                yield f"127.0.0.1:{port}"
            finally:
                server.stop(0).wait()
