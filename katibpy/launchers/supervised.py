"""One service process that is kept alive: started again when it ends, its last words kept."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from katibpy.errors import ServiceUnavailable

_LOG = logging.getLogger(__name__)

LOG_LIMIT_BYTES = 5 * 1024 * 1024
"""A log that is longer when a service starts is put aside."""

_SHOWN_LINES = 20
_SHOWN_BYTES = 8192
_STEADY_SECONDS = 30.0
"""A process that lived so long did not die of its start."""

_LONGEST_DELAY_SECONDS = 30.0
_HOPELESS_STARTS = 3
_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Incarnation:
    """A service process from its start to its end.

    Attributes:
        process: the child.
        address: where it listens once it is ready, a gRPC target.
        log_offset: where its part of the log begins.
    """

    process: subprocess.Popen[bytes]
    address: str
    log_offset: int


class Starter(Protocol):
    """Knows one kind of service process. Called by one thread, `start` under the service's lock."""

    @property
    def log_path(self) -> Path:
        """Where the process writes."""
        ...

    def start(self) -> Incarnation:
        """Starts a process. Raises OSError when there can be none."""
        ...

    def is_ready(self, incarnation: Incarnation) -> bool:
        """Blocks until the process listens; False when it ended or took too long."""
        ...

    def after(self, incarnation: Incarnation) -> None:
        """Ends whatever the process, which has ended, left behind."""
        ...

    def close(self) -> None:
        """Removes what was made for all processes."""
        ...


class SupervisedService:
    """Keeps one process of a starter alive until it is closed.

    When the process dies it is started again: at once the first time, then after delays that double.
    `_changed` guards all attributes and tells of changes of them; one thread looks after the process.
    """

    def __init__(self, starter: Starter, *, noun: str = "the algorithm service") -> None:
        """Prepares the service; nothing runs before `start` or `address`.

        Args:
            starter: starts its processes.
            noun: what messages call it.
        """
        self._starter = starter
        self._noun = noun
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address: str | None = None
        self._closed = False
        self._failed_starts = 0
        self._failure = ""

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        with self._changed:
            return self._process.pid if self._process is not None else None

    @property
    def failure(self) -> str:
        """How the last process ended; empty when none has ended."""
        with self._changed:
            return self._failure

    def start(self) -> None:
        """Begins to start the process unless it was begun before; returns at once.

        Raises:
            ServiceUnavailable: it has been closed.
        """
        with self._changed:
            if self._closed:
                raise ServiceUnavailable(f"the launcher of {self._noun} has been closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._supervise, name="algorithm-service", daemon=True)
                self._thread.start()

    def address(self, *, timeout_seconds: float) -> str:
        """Waits until the process listens, and gives its gRPC target.

        Raises:
            ServiceUnavailable: it does not listen in time, or it died three times without ever listening.
        """
        self.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._address or self._closed or self._failed_starts >= _HOPELESS_STARTS,
                timeout=timeout_seconds,
            )
            if self._address is not None:
                return self._address
            failure = self._failure or f"it does not listen after {timeout_seconds:g} s"
        raise ServiceUnavailable(f"{self._noun} does not come up: {failure}; see {self._starter.log_path}")

    def close(self) -> None:
        """Ends the process, and what it left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            process, thread = self._process, self._thread
        if process is not None:
            process.terminate()
        if thread is not None:
            thread.join(_STOP_SECONDS)
            if thread.is_alive() and process is not None:
                process.kill()
                thread.join()
        self._starter.close()

    def _supervise(self) -> None:
        deaths = 0
        while True:
            try:
                with self._changed:
                    if self._closed:
                        return
                    incarnation = self._starter.start()
                    self._process = incarnation.process
            except OSError as error:
                lived, is_ready, failure = 0.0, False, f"it cannot be started: {error}"
            else:
                lived, is_ready, failure = self._look_after(incarnation)
            deaths = 1 if lived >= _STEADY_SECONDS else deaths + 1
            delay = min(0.1 * 2.0 ** (deaths - 2), _LONGEST_DELAY_SECONDS) if deaths > 1 else 0.0
            with self._changed:
                self._address = self._process = None
                self._failed_starts = 0 if is_ready else self._failed_starts + 1
                self._failure = failure
                self._changed.notify_all()
                if self._closed:
                    return
                noun = self._noun[:1].upper() + self._noun[1:]
                _LOG.warning("%s ended and is started again in %g s: %s", noun, delay, failure)
                if self._changed.wait_for(lambda: self._closed, timeout=delay):
                    return

    def _look_after(self, incarnation: Incarnation) -> tuple[float, bool, str]:
        """Stays with the process to its end; gives seconds lived, whether it listened, and its end."""
        process = incarnation.process
        born = time.monotonic()
        is_ready = self._starter.is_ready(incarnation)
        if is_ready:
            with self._changed:
                self._address = incarnation.address
                self._failed_starts = 0
                self._changed.notify_all()
        else:
            process.kill()
        status = process.wait()
        self._starter.after(incarnation)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        lived = time.monotonic() - born
        ended = f"signal {-status}" if status < 0 else f"exit code {status}"
        lines = _last_lines(self._starter.log_path, incarnation.log_offset)
        output = "its last output:\n" + "\n".join(lines) if lines else "it wrote nothing"
        return lived, is_ready, f"it ended with {ended} after {lived:.1f} s; {output}"


def fresh_log(path: Path) -> Path:
    """Makes the log's folder, and puts a log aside that has grown long; the path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def _last_lines(path: Path, offset: int) -> list[str]:
    try:
        with path.open("rb") as log:
            log.seek(max(offset, log.seek(0, os.SEEK_END) - _SHOWN_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line[:500] for line in text.splitlines()[-_SHOWN_LINES:]]
