"""Serving one implementation under both names of a service, with errors as statuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from katibpy.algo.cancellation import cancellable, stop_if_cancelled
from katibpy.rpc.error_codes import refuse
from katibpy.rpc.names import both_names

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

LONGEST_SECONDS = 600.0
"""How long a call may take whose caller sets no deadline."""


class Caller:
    """Whoever waits for the answer of one call; tells algorithms when nobody does any more."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        # Without a deadline the remaining time is astronomic.
        self._end = time.monotonic() + min(context.time_remaining(), LONGEST_SECONDS)

    @property
    def remaining_seconds(self) -> float:
        """Time until the deadline, at least 0."""
        return max(self._end - time.monotonic(), 0.0)

    def is_cancelled(self) -> bool:
        """Whether the caller has gone or the deadline has passed."""
        return self.remaining_seconds <= 0 or not self._context.is_active()


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, A]):
    """One method of a service.

    Attributes:
        call: answers a request; what it raises becomes a status.
        request: class of the request.
        reply: class of the reply.
    """

    call: Callable[[Q, Caller], A]
    request: type[Q]
    reply: type[A]


def handlers_of(
    service: str, methods: Mapping[str, Method[Any, Any]]
) -> tuple[grpc.GenericRpcHandler[Any, Any], ...]:
    """Handlers that answer for a service, such as `Suggestion`, under both its names."""
    table = {name: _handler(method) for name, method in methods.items()}
    return tuple(grpc.method_handlers_generic_handler(name, table) for name in both_names(service))


def _handler(method: Method[Q, A]) -> grpc.RpcMethodHandler[Q, A]:
    def answer(request: Q, context: grpc.ServicerContext) -> A:
        caller = Caller(context)
        try:
            with cancellable(caller):
                # The call may have waited for a thread longer than its caller did.
                stop_if_cancelled()
                return method.call(request, caller)
        except Exception as error:  # noqa: BLE001
            refuse(context, error)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=method.request.FromString,
        response_serializer=method.reply.SerializeToString,
    )
