"""The processes of this machine, as `ps` tells them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """One process; `words` is its command line."""

    pid: int
    parent: int
    words: str


def processes() -> list[Listed]:
    """All of them."""
    # Without -ww, lines are cut to a width that the environment decides.
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return [Listed(int(pid), int(parent), " ".join(words)) for pid, parent, *words in rows]


def algorithm_services(parent: int) -> set[int]:
    """Process ids of the algorithm services that a process started."""
    return {
        listed.pid
        for listed in processes()
        if listed.parent == parent and "katibpy.app.algorithm_service" in listed.words
    }
