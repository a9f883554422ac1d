"""Ports of this host that nobody listens on."""

from __future__ import annotations

import errno
import random
import socket
import threading
import time

from katibpy.runners.execution import CannotStart
from katibpy.runners.outcome import START_FAILED

FIRST = 20000
LAST = 32767
"""Below the ports that systems give to outgoing connections, which come and go at any moment."""

_TRIES = 500
_KEPT_SECONDS = 120.0


class FreePorts:
    """Finds ports, and gives none out twice within two minutes. `_lock` guards `_given`.

    Nothing keeps another program from taking a port before the trial does; that is why they are drawn at
    random from a range in which little is to be found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[int, float] = {}
        self._random = random.SystemRandom()

    def take(self, count: int) -> tuple[int, ...]:
        """That many different ports.

        Raises:
            CannotStart: they were not to be found.
        """
        found: list[int] = []
        with self._lock:
            now = time.monotonic()
            self._given = {port: at for port, at in self._given.items() if now - at < _KEPT_SECONDS}
            for _ in range(_TRIES * count):
                if len(found) == count:
                    break
                port = self._random.randint(FIRST, LAST)
                if port not in self._given and _is_free(port):
                    self._given[port] = now
                    found.append(port)
        if len(found) < count:
            message = f"this host has no free port from {FIRST} to {LAST}; end programs that listen on them"
            raise CannotStart(message, reason=START_FAILED)
        return tuple(found)


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if family is socket.AF_INET6 and error.errno not in (errno.EADDRINUSE, errno.EACCES):
                continue  # this host has no IPv6
            return False
    return True
