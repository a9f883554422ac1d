"""Other processes that the algorithm suite asks, one for each hash seed, kept for the next question."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_ANSWER_SECONDS = 60.0
_END_SECONDS = 5.0

_Key = tuple[int, str, str]


class ProbeFailedError(Exception):
    """No answer came from the other process; the message says what it wrote or how it ended."""


class ProbeProcesses:
    """Runs `katibpy.testing.algorithm_probe`.

    Most of what a question costs is the start of Python and the import of libraries, so processes are kept
    until this one ends; should it be killed, they end with their input. `_lock` guards the table and is held
    while an answer is awaited.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[_Key, _Process] = {}

    def ask(self, request: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        """The assignments that the probe gives for a request.

        Raises:
            ProbeFailedError: the algorithm failed there, or the process ended or did not answer in time.
        """
        path = os.pathsep.join(each or os.getcwd() for each in sys.path)
        key = (hash_seed, path, os.getcwd())
        with self._lock:
            if not self._processes:
                atexit.register(self.close)
            process = self._processes.get(key)
            if process is None:
                process = self._processes[key] = _Process(hash_seed=hash_seed, path=path)
            try:
                answer = process.answer(request)
            except ProbeFailedError:
                self._processes.pop(key).close()
                raise
        if "failure" in answer:
            raise ProbeFailedError(answer["failure"].strip())
        texts: list[dict[str, str]] = answer["texts"]
        return texts

    def close(self) -> None:
        """Ends all processes; the next question starts others."""
        with self._lock:
            while self._processes:
                self._processes.popitem()[1].close()
            atexit.unregister(self.close)


class _Process:
    def __init__(self, *, hash_seed: int, path: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "katibpy.testing.algorithm_probe"],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )

    def answer(self, request: Sequence[str]) -> dict[str, Any]:
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        too_late = threading.Timer(_ANSWER_SECONDS, child.kill)
        too_late.start()
        try:
            child.stdin.write(json.dumps(list(request)) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:
            line = ""
        finally:
            too_late.cancel()
        if not line:
            status = child.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()
            raise ProbeFailedError(f"it ended with status {status} without an answer: {said}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        child = self._child
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._errors.close()


probe_processes = ProbeProcesses()
"""Those of this process."""
