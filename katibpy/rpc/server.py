"""A gRPC server with health and reflection."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from katibpy.core.endpoints import is_local
from katibpy.errors import ServiceUnavailable, Unsupported
from katibpy.rpc.names import KATIB_HEALTH_NAME, MESSAGE_OPTIONS, both_names
from katibpy.rpc.reflection import add_reflection
from katibpy.rpc.server_security import ServerSecurity, TokenGate

LOOPBACK = "127.0.0.1:0"
"""Any free port of this machine alone."""


class ServiceServer:
    """Serves handlers at one address. Off loopback it takes TLS and a token, or leave to do without.

    Every service answers the health service under its two names, the server as a whole under "". The
    kernel's permissions guard a Unix socket: put it into a private directory.
    """

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler[Any, Any]],
        *,
        services: Sequence[str] = ("Suggestion",),
        address: str = LOOPBACK,
        thread_limit: int = 16,
        security: ServerSecurity | None = None,
        allow_plaintext: bool = False,
    ) -> None:
        """Begins to listen; calls are answered after `start`.

        Args:
            handlers: what to serve.
            services: short names of the services among the handlers.
            address: `unix:/path` or `host:port`; port 0 takes a free one.
            thread_limit: how many calls may be worked on at once; others wait.
            security: for TLS; plaintext without it.
            allow_plaintext: whether the address may be off loopback although calls are not safe there.

        Raises:
            Unsupported: the address is off loopback without leave.
            ServiceUnavailable: the address is taken or cannot be listened on.
        """
        is_safe = security is not None and security.token
        if not is_safe and not allow_plaintext and not is_local(address):
            raise Unsupported(
                f"gRPC without TLS and a token is served on loopback or a Unix socket only, got {address};"
                " give certificate, key and token, or allow plaintext explicitly where the network is trusted"
            )
        gates: list[grpc.ServerInterceptor[Any, Any]] = []
        if security is not None and security.token:
            gates.append(TokenGate(security.token))
        self._pool = ThreadPoolExecutor(thread_limit, thread_name_prefix="grpc")
        # Two servers on one port would share its calls instead of one of them failing to start.
        options = (*MESSAGE_OPTIONS, ("grpc.so_reuseport", 0))
        self._server = grpc.server(self._pool, handlers=list(handlers), interceptors=gates, options=options)
        self._health = health.HealthServicer(experimental_non_blocking=True)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [name for service in services for name in both_names(service)]
        self._healthy_names = ["", *names, *([KATIB_HEALTH_NAME] if "Suggestion" in services else [])]
        add_reflection(self._server, [*names, health.SERVICE_NAME])
        try:
            port = (
                self._server.add_insecure_port(address)
                if security is None
                else self._server.add_secure_port(address, security.credentials())
            )
        except RuntimeError as error:
            raise ServiceUnavailable(f"cannot listen on {address}: {error}") from error
        host = address.rpartition(":")[0]
        self.address = address if address.startswith("unix:") else f"{host}:{port}"

    def start(self) -> None:
        """Begins to answer."""
        self._server.start()
        for name in self._healthy_names:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, *, grace_seconds: float = 2.0) -> None:
        """Takes no more calls, lets running ones end for a while, then cancels them."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
