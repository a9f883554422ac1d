"""How a server proves who it is, and lets in only those who have its token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health

from katibpy.errors import InputError

_HEALTH = f"/{health.SERVICE_NAME}/"


@dataclass(frozen=True, slots=True)
class ServerSecurity:
    """What a server needs for TLS.

    Attributes:
        certificates: its own and those that vouch for it, PEM.
        key: of its own certificate, PEM.
        token: what callers must send; anybody may call when it is empty.
    """

    certificates: bytes
    key: bytes = field(repr=False)
    token: str = field(default="", repr=False)

    def credentials(self) -> grpc.ServerCredentials:
        """For a port."""
        return grpc.ssl_server_credentials([(self.key, self.certificates)])


def read_security(certificates: Path, key: Path, token: Path | None = None) -> ServerSecurity:
    """What the files hold.

    Raises:
        InputError: one cannot be read, or the token is empty.
    """
    try:
        word = "" if token is None else token.read_text(encoding="utf-8").strip()
        found = ServerSecurity(certificates.read_bytes(), key.read_bytes(), word)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"what makes the server safe cannot be read: {error}") from error
    if token is not None and not word:
        raise InputError(f"the token file {token} must hold a token, got nothing")
    return found


if TYPE_CHECKING:
    _Interceptor = grpc.ServerInterceptor[Any, Any]
else:
    # Generic for type checkers only.
    _Interceptor = grpc.ServerInterceptor


class TokenGate(_Interceptor):
    """Refuses calls without the token. Health is anybody's to ask for: probes have no token."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Lets the call through, or answers it with UNAUTHENTICATED."""
        if not handler_call_details.method.startswith(_HEALTH) and not self._is_known(handler_call_details):
            return self._refusal
        return continuation(handler_call_details)

    def _is_known(self, details: grpc.HandlerCallDetails) -> bool:
        given = next((value for key, value in details.invocation_metadata if key == "authorization"), "")
        return hmac.compare_digest(given.encode() if isinstance(given, str) else given, self._expected)


def _refuse(request: object, context: grpc.ServicerContext) -> object:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the call must carry the token of this server")
