"""Who ran an Experiment last, and how it is run again: a file beside the database.

Only the holder of the state directory's lock writes it, and nothing but messages depends on it.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from katibpy.api.experiment import Experiment

FILE_NAME = "last-runs.json"
_MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last program that ran an Experiment.

    Attributes:
        pid: its process id.
        command: what a user types to go on; empty when it was no command.
        directory: where it was started.
    """

    pid: int
    command: str
    directory: str


def note_run(state_dir: Path, experiment: Experiment, *, command: str) -> None:
    """Notes that this process runs the Experiment."""
    known = _load(state_dir)
    known.pop(experiment.metadata.uid or "", None)
    kept = list(known.items())[-_MOST_KEPT:]
    last = LastRun(pid=os.getpid(), command=command, directory=str(Path.cwd()))
    path = state_dir / FILE_NAME
    draft = path.with_suffix(".draft")
    with contextlib.suppress(OSError):
        content = json.dumps({**dict(kept), experiment.metadata.uid or "": asdict(last)})
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(content)
        os.replace(draft, path)


def last_run(state_dir: Path, experiment: Experiment) -> LastRun | None:
    """The last program that ran the Experiment, None when that is not known."""
    try:
        return LastRun(**_load(state_dir)[experiment.metadata.uid or ""])
    except (KeyError, TypeError):
        return None


def _load(state_dir: Path) -> dict[str, Any]:
    try:
        known = json.loads((state_dir / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
