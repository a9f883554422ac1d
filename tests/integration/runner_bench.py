"""A real runner and small trials for it."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.local import LocalRunner

DEADLINE_SECONDS = 20.0


def eventually(condition: Callable[[], bool], said: str = "it did not come true in time") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether the process lives; one that nobody has reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return Path("/proc/self").exists() is False
    return state not in "ZX"


def python_trial(name: str, code: str, *args: str, **spec: Any) -> Trial:
    return make_trial(name, [sys.executable, "-c", textwrap.dedent(code), *args], **spec)


def make_trial(name: str, command: list[str], *, pod: dict[str, Any] | None = None, **spec: Any) -> Trial:
    container = {"name": "main", "command": command}
    pod = {"restartPolicy": "Never", "containers": [container], **(pod or {})}
    job = {"backoffLimit": 0, **spec, "template": {"spec": pod}}
    run_spec = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job}
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=TrialSpec(run_spec=run_spec))


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runner = LocalRunner(directory / "runs", clock=SystemClock(), stop_grace_seconds=0.5)

    def end(self, trial: Trial) -> RunState:
        eventually(
            lambda: self.runner.observe(trial).phase is RunPhase.ENDED, f"{trial.metadata.name} goes on"
        )
        return self.runner.observe(trial)

    def run(self, trial: Trial) -> RunState:
        self.runner.start(trial)
        return self.end(trial)

    def output(self, trial: Trial) -> str:
        return self.runner.outputs(trial).stdout.read_text()

    def started(self, trial: Trial) -> None:
        self.runner.start(trial)
        eventually(lambda: self.runner.observe(trial).phase is RunPhase.RUNNING)

    def said(self, trial: Trial, text: str) -> None:
        path = self.runner.outputs(trial).stdout
        eventually(
            lambda: path.exists() and text in path.read_text(), f"{trial.metadata.name} never said {text}"
        )


def job_condition(state: RunState) -> dict[str, str]:
    (condition,) = state.resource["status"]["conditions"]
    assert condition["status"] == "True"
    return dict(condition)


FORKING = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for options in ({}, {"start_new_session": True}):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **options)
        print("pid", child.pid)
    if os.fork() == 0:
        print("pid", os.getpid())
        time.sleep(60)
    print("ready")
    time.sleep(float(sys.argv[1]))
"""


def pids_in(text: str) -> list[int]:
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("pid")]
