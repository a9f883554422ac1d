"""Finds the file that a command means, and says in plain words why there is none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from katibpy.errors import RunnerError

_LONGEST_FIRST_LINE = 256


class CommandNotFound(RunnerError):
    """A command names nothing that can be run; the message says what is wrong with it."""


def find_executable(command: str, *, search_path: str, working_directory: Path) -> str:
    """Absolute path of the file that the command means.

    A command with a slash is a path, relative to the working directory; any other is looked for in the
    directories of `search_path`.

    Raises:
        CommandNotFound: there is no such file, or it cannot be run.
    """
    if not command:
        raise CommandNotFound("the command must not be empty; command[0] names the program to run")
    if "/" in command:
        path = str(working_directory / command)
        fault = _fault(path)
        if fault:
            raise CommandNotFound(f"command {command!r} cannot be run: {fault}")
        return path
    faults = []
    here = str(working_directory)
    for directory in search_path.split(os.pathsep):
        candidate = os.path.join(here, directory, command)
        if os.path.isdir(candidate) or not os.path.lexists(candidate):
            continue
        fault = _fault(candidate)
        if not fault:
            return candidate
        faults.append(fault)
    found = f"; found, but of no use: {'; '.join(faults)}" if faults else ""
    raise CommandNotFound(
        f"command {command!r} was not found in any directory of PATH ({search_path}){found}; "
        "install it, or give its absolute path"
    )


def search_path_of(environment: Mapping[str, str]) -> str:
    """Where trials look for commands: PATH of the environment, and the directory of this interpreter.

    Its directory comes last, so that `python` means what it means in the user's shell; but it comes first
    when the program was called by a path inside a virtual environment that is not activated, since
    `.venv/bin/katib` names an environment as `.venv/bin/python` does.
    """
    path = environment.get("PATH") or os.defpath
    own = os.path.dirname(sys.executable) if sys.executable else ""
    if not own or own in path.split(os.pathsep):
        return path
    is_activated = "VIRTUAL_ENV" in environment or "CONDA_PREFIX" in environment
    called = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    is_called_inside = sys.prefix != sys.base_prefix and called.startswith(os.path.join(sys.prefix, ""))
    first = is_called_inside and not is_activated
    return os.pathsep.join((own, path) if first else (path, own))


def _fault(path: str) -> str:
    """Why the file cannot be run, "" when it can."""
    if not os.path.lexists(path):
        return f"there is no file {path}"
    if not os.path.exists(path):
        return f"{path} is a link to {os.path.realpath(path)}, which does not exist"
    if os.path.isdir(path):
        return f"{path} is a directory"
    if not os.access(path, os.X_OK):
        return f"{path} is not executable (chmod +x makes it so)"
    return _interpreter_fault(path)


def _interpreter_fault(path: str) -> str:
    try:
        with open(path, "rb") as file:
            first_line = file.read(_LONGEST_FIRST_LINE).split(b"\n", 1)[0]
    except OSError:
        # A program may be executable and not readable.
        return ""
    if not first_line.startswith(b"#!"):
        return ""
    words = first_line[2:].decode(errors="replace").split()
    if not words:
        return f"the first line of {path} names no interpreter after #!"
    if words[0].endswith("\ufffd") or first_line.endswith(b"\r"):
        return f"{path} has Windows line ends, so its interpreter is not found; convert them to LF"
    if shutil.which(words[0]) is None:
        return (
            f"the first line of {path} names the interpreter {words[0]}, which cannot be run or is not there"
        )
    return ""
