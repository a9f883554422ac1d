"""Where services listen, and how they are reached."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Security:
    """What a client needs to trust a service over TLS, and to be trusted.

    Attributes:
        authority: certificates of whoever vouches for the service, PEM; those of this machine when empty.
        token: sent with every call; none when empty.
    """

    authority: bytes = b""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service listens.

    Attributes:
        address: a gRPC target: `unix:/path` or `host:port`.
        call_seconds: how long one call to it may take; None for as long as the caller says.
        security: how the connection is made safe; None for plaintext.
        note: how the process ended that was there before; empty when there was none.
    """

    address: str
    call_seconds: float | None = None
    security: Security | None = None
    note: str = ""


def is_local(address: str) -> bool:
    """Whether only this machine can reach the address."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
