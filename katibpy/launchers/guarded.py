"""Starts service programs that know nothing of us: at a free port of this machine, under a guard."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from katibpy.launchers import guard
from katibpy.launchers.supervised import Incarnation, fresh_log

HOST = "127.0.0.1"

_GUARD = (sys.executable, "-I", guard.__file__)
_POLL_SECONDS = 0.05
_PROBE_SECONDS = 1.0
_END_SECONDS = 5.0
_AFTERWARDS_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to start.

    Attributes:
        argv: program and arguments.
        environment: all its variables.
        working_directory: where it is started; None for the current one.
        afterwards: a command that takes away what signals do not reach; () when there is no such thing.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: Path | None = None
    afterwards: tuple[str, ...] = ()


class Recipe(Protocol):
    """Says what to start so that a service listens at a port of this machine."""

    def __call__(self, port: int, *, instance: str) -> Command:
        """The command.

        Args:
            port: on loopback, free a moment ago.
            instance: unlike that of any other start on this machine.

        Raises:
            OSError: it cannot be started here.
        """
        ...


Probe = Callable[[str, float], bool]
"""Whether a service answers at a gRPC target, within so many seconds."""


class Ports:
    """Free ports of this machine, each given out once at a time. `_lock` guards those that are in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: set[int] = set()

    def take(self) -> int:
        """A port that nobody listens on."""
        with self._lock:
            while True:
                with socket.socket() as probe:
                    probe.bind((HOST, 0))
                    port = int(probe.getsockname()[1])
                if port not in self._used:
                    self._used.add(port)
                    return port

    def give_back(self, port: int) -> None:
        """The port may be given out again."""
        with self._lock:
            self._used.discard(port)


class GuardedStarter:
    """Implements `Starter` for programs of others; see `guard` for why they never outlive this process."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        log_path: Path,
        probe: Probe,
        ports: Ports,
        instance: str,
        start_timeout_seconds: float,
    ) -> None:
        """Takes what there is to know.

        Args:
            recipe: what to start.
            log_path: gets the program's output.
            probe: tells when it listens.
            ports: where ports come from.
            instance: unlike that of any other starter on this machine.
            start_timeout_seconds: a program that does not listen by then is killed.
        """
        self.log_path = log_path
        self._recipe = recipe
        self._probe = probe
        self._ports = ports
        self._instance = instance
        self._start_timeout_seconds = start_timeout_seconds
        self._starts = 0
        self._port = 0
        self._afterwards: tuple[str, ...] = ()

    def start(self) -> Incarnation:
        """Starts the program at a port of its own, so that no other start can be taken for it."""
        self._starts += 1
        self._port = self._ports.take()
        try:
            return self._started()
        except OSError:
            self._ports.give_back(self._port)
            raise

    def _started(self) -> Incarnation:
        command = self._recipe(self._port, instance=f"{self._instance}-{self._starts}")
        self._afterwards = command.afterwards
        words = [*_GUARD]
        if command.afterwards:
            words += ["--afterwards", json.dumps(command.afterwards)]
        with fresh_log(self.log_path).open("ab") as log:
            offset = log.tell()
            process = subprocess.Popen(
                [*words, "--", *command.argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(command.environment),
                cwd=command.working_directory,
                start_new_session=True,
            )
        return Incarnation(process, f"{HOST}:{self._port}", offset)

    def is_ready(self, incarnation: Incarnation) -> bool:
        """Asks until it answers."""
        end = time.monotonic() + self._start_timeout_seconds
        while incarnation.process.poll() is None and time.monotonic() < end:
            if self._probe(incarnation.address, _PROBE_SECONDS):
                # Somebody else may have been quicker at the port, and then it has died of that.
                return incarnation.process.poll() is None
            time.sleep(_POLL_SECONDS)
        incarnation.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            incarnation.process.wait(_END_SECONDS)
        return False

    def after(self, incarnation: Incarnation) -> None:
        """Ends what a guard that was killed could not end."""
        said = incarnation.process.stdout.read().split() if incarnation.process.stdout is not None else []
        if said and b"done" not in said:
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                os.killpg(int(said[0]), signal.SIGKILL)
            _run(self._afterwards)
        self._ports.give_back(self._port)

    def close(self) -> None:
        """Nothing is kept for all starts."""


def _run(words: tuple[str, ...]) -> None:
    if words:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_AFTERWARDS_SECONDS,
                check=False,
                start_new_session=True,
            )
