"""What the program that keeps a gang is told, and what it leaves behind: two files of one attempt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PLAN_NAME = "gang.json"
FAILURE_NAME = "gang-failure.json"


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a gang.

    Attributes:
        name: its role and number, `worker-0`.
        argv: program, by its absolute path, and arguments.
        environment: over that of the program that starts it.
        working_directory: where it runs.
        output: file that its output is appended to; None for the attempt's own.
        leads: the gang has done its work when all that lead have ended well.
        serves: it never ends by itself, so it is told to when the work is done.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str
    output: str | None = None
    leads: bool = False
    serves: bool = False


@dataclass(frozen=True, slots=True)
class GangPlan:
    """A gang to start.

    Attributes:
        members: in the order in which they are started.
        grace_seconds: between SIGTERM and SIGKILL for those that are left when one has failed.
        linger_seconds: how long those that do not lead may take to end when the work is done.
    """

    members: tuple[Member, ...]
    grace_seconds: float = 10.0
    linger_seconds: float = 30.0

    def save(self, directory: Path) -> Path:
        """Writes it, for this user alone, since environments may hold secrets; returns the file.

        Raises:
            OSError: it cannot be written.
        """
        path = directory / PLAN_NAME
        _write(path, asdict(self))
        return path

    @classmethod
    def load(cls, path: Path) -> GangPlan:
        """Reads what was saved."""
        document = json.loads(path.read_text(encoding="utf-8"))
        members = tuple(Member(**{**each, "argv": tuple(each["argv"])}) for each in document["members"])
        return cls(**{**document, "members": members})


@dataclass(frozen=True, slots=True)
class GangFailure:
    """The member that failed first and with which all others were ended.

    Attributes:
        member: its name.
        code: its exit code; 128 and the signal's number for one that a signal ended.
        problem: why it could not be started, "" when it was.
        last_line: the last line it printed, "" when it is in the attempt's own output.
    """

    member: str
    code: int
    problem: str = field(default="", kw_only=True)
    last_line: str = field(default="", kw_only=True)

    def save(self, directory: Path) -> None:
        """Writes it.

        Raises:
            OSError: it cannot be written.
        """
        _write(directory / FAILURE_NAME, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> GangFailure | None:
        """What was saved, None when nothing was."""
        try:
            return cls(**json.loads((directory / FAILURE_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def _write(path: Path, document: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
