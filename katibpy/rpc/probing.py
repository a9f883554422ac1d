"""Whether somebody answers gRPC at an address."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2

from katibpy.core.endpoints import Security
from katibpy.rpc.channels import channel_to
from katibpy.rpc.error_codes import status_of
from katibpy.rpc.names import KATIB_HEALTH_NAME

_SILENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


def answers(address: str, timeout_seconds: float, *, security: Security | None = None) -> bool:
    """Whether an algorithm service is ready at a gRPC target.

    It is asked for its health as Katib asks; one without a health service, or that knows no such name, is
    taken to be ready because it answers at all.
    """
    with channel_to(address, security) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            reply = check(
                health_pb2.HealthCheckRequest(service=KATIB_HEALTH_NAME),
                timeout=timeout_seconds,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            return status_of(error)[0] not in _SILENT
        is_serving: bool = reply.status == health_pb2.HealthCheckResponse.SERVING
        return is_serving
