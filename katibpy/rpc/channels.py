"""Channels to services: plaintext on this machine, TLS and a token elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from katibpy.core.endpoints import Security
from katibpy.rpc.names import MESSAGE_OPTIONS

_OPTIONS = (
    *MESSAGE_OPTIONS,
    # A service that comes back after a crash is to be found soon; gRPC's own limit is two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Without it, channels of one process to one address share their connection and its backoff.
    ("grpc.use_local_subchannel_pool", 1),
)


def channel_to(address: str, security: Security | None = None) -> grpc.Channel:
    """A channel; nothing is connected before the first call.

    Args:
        address: gRPC target.
        security: how the connection is made safe; None for plaintext.
    """
    if security is None:
        return grpc.insecure_channel(address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(security.authority or None)
    if security.token:
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.metadata_call_credentials(_Token(security.token))
        )
    return grpc.secure_channel(address, credentials, options=_OPTIONS)


class _Token(grpc.AuthMetadataPlugin):
    """Adds the token to every call."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def __call__(self, context: object, callback: Callable[..., Any]) -> None:
        callback(self._metadata, None)
