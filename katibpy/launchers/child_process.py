"""One child process that serves every built-in algorithm on a private Unix socket."""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from katibpy.catalog import ALGORITHMS, find
from katibpy.errors import ServiceUnavailable
from katibpy.launchers.spare_child import SERVICE_COMMAND, SpareChild
from katibpy.ports import Endpoint

_LOG = logging.getLogger(__name__)

_LONGEST_BASE = 60
"""macOS allows 104 bytes for the path of a Unix socket, of which ours adds about 30 to its base."""

_LOG_LIMIT_BYTES = 5 * 1024 * 1024
_SHOWN_LINES = 20
_SHOWN_BYTES = 8192
_STEADY_SECONDS = 30.0
"""A child that lived so long did not die of its start."""

_LONGEST_DELAY_SECONDS = 30.0
_HOPELESS_STARTS = 3
_STOP_SECONDS = 3.0


class ChildProcessLauncher:
    """A Launcher whose service is a child of this process and never outlives it.

    The child ends when its standard input does, which the kernel closes however this process ends. It says
    that it listens by one line on its standard output; standard error goes to a log file. When it dies it
    is started again, at a new socket: at once the first time, then after delays that double.

    `_changed` guards all attributes and tells of changes of them; one thread looks after the child.
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
        self._log_path = log_directory / "algorithm-service.log"
        self._command = tuple(command)
        self._start_timeout_seconds = start_timeout_seconds
        self._spare = spare
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address: str | None = None
        self._closed = False
        self._starts = 0
        self._failed_starts = 0
        self._failure = ""

    @property
    def log_path(self) -> Path:
        """Where the child's output goes."""
        return self._log_path

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        with self._changed:
            return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begins to start the child unless it was begun before; returns at once."""
        with self._changed:
            if self._closed:
                raise ServiceUnavailable("the launcher of algorithm services has been closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._supervise, name="algorithm-service", daemon=True)
                self._thread.start()

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float) -> Endpoint:
        """Waits until the child listens.

        Raises:
            UnknownName, Unsupported: the catalogue has no such algorithm.
            ServiceUnavailable: it does not listen in time, or it died three times without ever listening.
        """
        find(ALGORITHMS, algorithm_name)
        self.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._address or self._closed or self._failed_starts >= _HOPELESS_STARTS,
                timeout=timeout_seconds,
            )
            if self._address is not None:
                return Endpoint(self._address)
            failure = self._failure or f"it does not listen after {timeout_seconds:g} s"
        raise ServiceUnavailable(f"the algorithm service does not come up: {failure}; see {self._log_path}")

    def close(self) -> None:
        """Ends the child and removes its socket."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            process, thread, directory = self._process, self._thread, self._directory
        if process is not None:
            process.terminate()
        if thread is not None:
            thread.join(_STOP_SECONDS)
            if thread.is_alive() and process is not None:
                process.kill()
                thread.join()
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)

    def _supervise(self) -> None:
        deaths = 0
        while True:
            try:
                child = self._spawn()
            except OSError as error:
                lived, is_ready, failure = 0.0, False, f"it cannot be started: {error}"
            else:
                if child is None:
                    return
                lived, is_ready, failure = self._look_after(*child)
            deaths = 1 if lived >= _STEADY_SECONDS else deaths + 1
            delay = min(0.1 * 2.0 ** (deaths - 2), _LONGEST_DELAY_SECONDS) if deaths > 1 else 0.0
            with self._changed:
                self._address = self._process = None
                self._failed_starts = 0 if is_ready else self._failed_starts + 1
                self._failure = failure
                self._changed.notify_all()
                if self._closed:
                    return
                _LOG.warning("The algorithm service ended and is started again in %g s: %s", delay, failure)
                if self._changed.wait_for(lambda: self._closed, timeout=delay):
                    return

    def _spawn(self) -> tuple[subprocess.Popen[bytes], str, int] | None:
        """Starts a child; gives process, address and where its part of the log begins; None when closed."""
        with self._changed:
            if self._closed:
                return None
            # Cleaners of temporary directories may have taken it away since the last start.
            if self._directory is None or not self._directory.exists():
                self._directory = _private_directory()
            self._starts += 1
            # A new path each time: what clients learnt of a dead child can't be taken for the new one.
            socket_path = self._directory / f"{self._starts}.sock"
            self._log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._log_path.exists() and self._log_path.stat().st_size > _LOG_LIMIT_BYTES:
                self._log_path.replace(self._log_path.with_suffix(".log.1"))
            arguments = ("--supervised", "--socket", str(socket_path))
            with self._log_path.open("ab") as log:
                spare, self._spare = self._spare, None
                process = spare.take(arguments, log=self._log_path) if spare is not None else None
                self._process = process or subprocess.Popen(
                    [*self._command, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    # Ctrl-C in a terminal is meant for this process, which may still need the service.
                    start_new_session=True,
                )
                return self._process, f"unix:{socket_path}", log.tell()

    def _look_after(
        self, process: subprocess.Popen[bytes], address: str, log_offset: int
    ) -> tuple[float, bool, str]:
        """Stays with the child to its end; gives seconds lived, whether it listened, and what it died of."""
        born = time.monotonic()
        is_ready = _says_ready(process, self._start_timeout_seconds)
        if is_ready:
            with self._changed:
                self._address = address
                self._failed_starts = 0
                self._changed.notify_all()
        else:
            process.kill()
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        lived = time.monotonic() - born
        ended = f"signal {-status}" if status < 0 else f"exit code {status}"
        lines = _last_lines(self._log_path, log_offset)
        output = "its last output:\n" + "\n".join(lines) if lines else "it wrote nothing"
        return lived, is_ready, f"it ended with {ended} after {lived:.1f} s; {output}"


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


def _last_lines(path: Path, offset: int) -> list[str]:
    try:
        with path.open("rb") as log:
            log.seek(max(offset, log.seek(0, os.SEEK_END) - _SHOWN_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line[:500] for line in text.splitlines()[-_SHOWN_LINES:]]
