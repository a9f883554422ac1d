"""Services that somebody else runs, at known addresses."""

from __future__ import annotations

from collections.abc import Mapping

from katibpy.catalog import nearest
from katibpy.core.endpoints import Endpoint
from katibpy.errors import UnknownName


class FixedLauncher:
    """A Launcher that launches nothing: it knows where each algorithm is served."""

    def __init__(
        self, addresses: Mapping[str, str | Endpoint], *, otherwise: str | Endpoint | None = None
    ) -> None:
        """Takes the addresses.

        Args:
            addresses: algorithm name to gRPC target, `unix:/path` or `host:port`.
            otherwise: target for all other names; None when there are no others.
        """
        self._addresses = dict(addresses)
        self._otherwise = otherwise

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float, experiment_uid: str = "") -> Endpoint:
        """The address of the algorithm; whether somebody listens there shows when it is called.

        Raises:
            UnknownName: there is no address for it.
        """
        address = self._addresses.get(algorithm_name, self._otherwise)
        if address is None:
            near = nearest(algorithm_name, self._addresses)
            hint = f"did you mean {near!r}? " if near else ""
            known = ", ".join(sorted(self._addresses)) or "none"
            raise UnknownName(
                f"there is no address for algorithm {algorithm_name!r}; {hint}configured: {known}"
            )
        return Endpoint(address) if isinstance(address, str) else address

    def release(self, experiment_uid: str) -> None:
        """Does nothing: nothing was started."""

    def close(self) -> None:
        """Does nothing: the services are not ours."""
