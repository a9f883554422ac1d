"""A child process that loads its program before it is known what it is to do.

Loading takes a good part of a second, and the parent, which has as much to load, can do so at the same time.
Nothing here needs more than the standard library: whoever wants to gain time starts the child first of all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

# A module's name, not an import: launchers know nothing of what serves gRPC.
SERVICE_COMMAND = (sys.executable, "-P", "-m", "katibpy.app.algorithm_service")

SPARE = "--spare"
"""Lets the program read its task from standard input: a line of JSON with `arguments` and `log`, a path."""


class SpareChild:
    """A child without a task. A context manager; closing it ends a child that nobody took.

    `_lock` guards the child: it is taken once, by whichever thread comes first.
    """

    def __init__(self, command: Sequence[str] = SERVICE_COMMAND) -> None:
        """Starts it; a host that cannot is no error yet, since whoever needs a child will hear of that."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [*command, SPARE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What it says before it has a log is lost; it is said again by the child that replaces it.
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return

    def take(self, arguments: Sequence[str], *, log: Path) -> subprocess.Popen[bytes] | None:
        """Gives the child its task.

        Args:
            arguments: of the program, instead of `--spare`.
            log: file that its standard error goes to from now on.

        Returns:
            The child, None when it has died, or was taken or closed before.
        """
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.stdin is None:
            return None
        task = json.dumps({"arguments": list(arguments), "log": str(log)})
        try:
            process.stdin.write(f"{task}\n".encode())
            process.stdin.flush()
        except OSError:
            _end(process)
            return None
        return process

    def close(self) -> None:
        """Ends a child that nobody took."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    # Its pipes are closed with it.
    process.communicate()
