"""One child process that serves every built-in algorithm on a private Unix socket."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from katibpy.catalog import ALGORITHMS, find
from katibpy.core.endpoints import Endpoint
from katibpy.launchers.spare_child import SERVICE_COMMAND, SpareChild
from katibpy.launchers.supervised import Incarnation, SupervisedService, fresh_log

LOG_NAME = "algorithm-service.log"

_LONGEST_BASE = 60
"""macOS allows 104 bytes for the path of a Unix socket, of which ours adds about 30 to its base."""


class ChildProcessLauncher:
    """A Launcher whose service is a child of this process and never outlives it.

    The child ends when its standard input does, which the kernel closes however this process ends. It says
    that it listens by one line on its standard output; standard error goes to a log file. When it dies it
    is started again, at a new socket; see `SupervisedService`.
    """

    def __init__(
        self,
        log_directory: Path,
        *,
        command: Sequence[str] = SERVICE_COMMAND,
        start_timeout_seconds: float = 60.0,
        spare: SpareChild | None = None,
    ) -> None:
        """Prepares the launcher; nothing runs before `start` or `endpoint`.

        Args:
            log_directory: gets `algorithm-service.log`; made when it is not there.
            command: what to run; `--supervised --socket PATH` is added.
            start_timeout_seconds: a child that does not listen by then is killed and tried again.
            spare: a child of the same command that is to be the first one.
        """
        self._starter = _ChildStarter(log_directory / LOG_NAME, tuple(command), start_timeout_seconds, spare)
        self._service = SupervisedService(self._starter)

    @property
    def log_path(self) -> Path:
        """Where the child's output goes."""
        return self._starter.log_path

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        return self._service.pid

    def start(self) -> None:
        """Begins to start the child unless it was begun before; returns at once."""
        self._service.start()

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float, experiment_uid: str = "") -> Endpoint:
        """Waits until the child listens; it is the same for all Experiments.

        Raises:
            UnknownName, Unsupported: the catalogue has no such algorithm.
            ServiceUnavailable: it does not listen in time, or it died three times without ever listening.
        """
        find(ALGORITHMS, algorithm_name)
        address = self._service.address(timeout_seconds=timeout_seconds)
        return Endpoint(address, note=self._service.failure)

    def release(self, experiment_uid: str) -> None:
        """Does nothing: the child serves all Experiments."""

    def close(self) -> None:
        """Ends the child and removes its socket."""
        self._service.close()


class _ChildStarter:
    """Starts children of ours, each at a socket of its own. Called by one thread at a time."""

    def __init__(
        self, log_path: Path, command: Sequence[str], timeout_seconds: float, spare: SpareChild | None
    ) -> None:
        self.log_path = log_path
        self._command = command
        self._timeout_seconds = timeout_seconds
        self._spare = spare
        self._directory: Path | None = None
        self._starts = 0

    def start(self) -> Incarnation:
        # Cleaners of temporary directories may have taken it away since the last start.
        if self._directory is None or not self._directory.exists():
            self._directory = _private_directory()
        self._starts += 1
        # A new path each time: what clients learnt of a dead child can't be taken for the new one.
        socket_path = self._directory / f"{self._starts}.sock"
        arguments = ("--supervised", "--socket", str(socket_path))
        with fresh_log(self.log_path).open("ab") as log:
            # Asked now: the child writes through the same open file, and moves its position.
            offset = log.tell()
            spare, self._spare = self._spare, None
            process = spare.take(arguments, log=self.log_path) if spare is not None else None
            process = process or subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C in a terminal is meant for this process, which may still need the service.
                start_new_session=True,
            )
            return Incarnation(process, f"unix:{socket_path}", offset)

    def is_ready(self, incarnation: Incarnation) -> bool:
        return _says_ready(incarnation.process, self._timeout_seconds)

    def after(self, incarnation: Incarnation) -> None:
        """It leaves nothing behind but its socket, which goes with the directory."""

    def close(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _private_directory() -> Path:
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="katib-", dir=base if len(base) <= _LONGEST_BASE else "/tmp"))


def _says_ready(process: subprocess.Popen[bytes], timeout_seconds: float) -> bool:
    """Waits for the line on the child's standard output; False at its end or when time is over."""
    if process.stdout is None:
        return False
    end = time.monotonic() + timeout_seconds
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not said.endswith(b"\n"):
            if not selector.select(max(end - time.monotonic(), 0.0)):
                return False
            read = os.read(process.stdout.fileno(), 4096)
            if not read:
                return False
            said += read
    return True
