"""The `katib` command as a process that a test can look at and signal while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from click.testing import CliRunner

from katibpy.api.experiment import Experiment
from katibpy.app.state import State, open_state
from katibpy.cli.main import katib
from katibpy.errors import NotFound

_START = (
    # A test that runs in the background of a script inherits ignored signals; users do not.
    "import signal\n"
    "for each in (signal.SIGINT, signal.SIGHUP):\n"
    "    signal.signal(each, signal.SIG_DFL if each != signal.SIGINT else signal.default_int_handler)\n"
    "from katibpy.cli.main import main\n"
    "main()\n"
)
_DEADLINE_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Running:
    """A command at work. A context manager, which kills what a failed test leaves."""

    def __init__(self, folder: Path, arguments: Sequence[str | Path], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def said(self, words: str) -> str:
        """Reads standard error until these words stand in a line; the line."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} was not said: {seen}")

    def end(self) -> Ended:
        """Waits for its end."""
        stdout, stderr = self.process.communicate(timeout=_DEADLINE_SECONDS)
        return Ended(self.process.returncode, stdout, stderr)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `katib` in a folder, whose `.katib` is the state directory."""

    folder: Path

    def start(self, *arguments: str | Path, **environment: str) -> Running:
        """Starts a command."""
        return Running(self.folder, arguments, environment)

    def __call__(self, *arguments: str | Path, **environment: str) -> Ended:
        """Runs a command to its end."""
        with self.start(*arguments, **environment) as running:
            return running.end()

    def ask(self, *arguments: str) -> Ended:
        """Runs a command that only reads, in this process, which is quicker."""
        ended = CliRunner().invoke(katib, arguments, env={"KATIB_STATE_DIR": str(self.folder / ".katib")})
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    @contextmanager
    def state(self) -> Iterator[State]:
        """The state directory."""
        state = open_state(self.folder / ".katib")
        try:
            yield state
        finally:
            state.close()

    def experiment(self, name: str = "tune") -> Experiment:
        """The stored Experiment."""
        with self.state() as state:
            found = state.resources.find(Experiment, "default", name)
        assert found is not None
        return found

    def wait(self, is_reached: Callable[[State], object]) -> None:
        """Waits until the store fulfils a condition; fails when it does not in time."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                with self.state() as state:
                    if is_reached(state):
                        return
            except NotFound:
                pass  # it is still being made
            time.sleep(0.1)
        raise AssertionError("the store never came there")


def has_running_trials(count: int, name: str = "tune") -> Callable[[State], bool]:
    """A condition: that many trials of the Experiment are running."""

    def is_reached(state: State) -> bool:
        found = state.resources.find(Experiment, "default", name)
        return found is not None and found.status.trials_running >= count

    return is_reached
