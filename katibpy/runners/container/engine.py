"""What a container engine does for trials, and which one does it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from katibpy.errors import RunnerError
from katibpy.runners.container.spec import ContainerSpec

PROBE_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """A command of the engine.

    Attributes:
        argv: program, by its absolute path, and arguments.
        environment: variables that the command needs besides those of this program.
        is_apart: whether the container's processes are not below the command, but the engine's own.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    is_apart: bool = True


class Engine(Protocol):
    """A program that runs containers. Implementations keep no state."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def program(self) -> str:
        """Absolute path of its command."""
        ...

    def probe(self) -> str:
        """Why it cannot run containers now, "" when it can as far as can be told without running one."""
        ...

    def run(self, spec: ContainerSpec) -> Call:
        """The command that runs a container, lives as long as it, and ends with its exit code."""
        ...

    def remove(self, name: str) -> bool:
        """Ends a container and removes it; no-op when there is none.

        Returns:
            Whether it was ended because it used more memory than it may.

        Raises:
            RunnerError: it may still be there.
        """
        ...

    def refusals(self, spec: ContainerSpec) -> Sequence[str]:
        """What of the container it cannot do, a sentence each that reads on after "must" or "cannot"."""
        ...


_E = TypeVar("_E", bound=Engine)


def choose_engine(makers: Mapping[str, Callable[[str], _E]], wanted: str = "") -> _E:
    """The engine that is wanted, or the first that works.

    Args:
        makers: makes an engine of its program's path, by name, in order of preference.
        wanted: a name; "" for any.

    Raises:
        RunnerError: there is none that works; the message has each one's own words.
    """
    if wanted and wanted not in makers:
        raise RunnerError(f"the container engine must be one of {', '.join(makers)}, got {wanted!r}")
    said = []
    for name, make in makers.items():
        if wanted and name != wanted:
            continue
        program = shutil.which(name)
        if program is None:
            said.append(f"{name} is not installed")
            continue
        engine = make(program)
        problem = engine.probe()
        if not problem:
            return engine
        said.append(f"{name} does not work ({problem})")
    raise RunnerError(
        f"no container engine can be used: {'; '.join(said)}. Install podman, docker or apptainer, or run "
        "trials as processes with --runner local"
    )


def ask(argv: Sequence[str], *, timeout_seconds: float) -> tuple[int, str, str]:
    """Exit code and both outputs of a short command; code -1 when it cannot be run or takes too long."""
    try:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            # Ctrl-C in a terminal is for this program, which ends trials in its own way.
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, "", str(error)
    return ended.returncode, ended.stdout, ended.stderr


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
