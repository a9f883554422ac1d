from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.runners.container.containers import Containers
from katibpy.runners.execution import Execution
from katibpy.runners.host_processes import HostProcesses
from katibpy.runners.local import LocalRunner
from katibpy.runners.simulated import SimulatedRunner
from katibpy.runners.simulated_world import Script, SimulatedWorld
from katibpy.testing.runner_suite import CHECKS, FAILING_EXIT_CODE, Behaviour, Check, RunnerSubject
from tests.integration.container_engines import IMAGE, engine_of

DEADLINE_SECONDS = 10.0

SCRIPTS = {
    Behaviour.SUCCEEDS: "exit 0",
    Behaviour.FAILS: f"exit {FAILING_EXIT_CODE}",
    Behaviour.LASTS: "while :; do sleep 1; done",
}


class LocalSubject:
    _pod: Mapping[str, Any] = {}
    _surroundings: Mapping[str, Any] = {}

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.runner = self._make()

    def _make(self) -> LocalRunner:
        runs = self._directory / "runs"
        return LocalRunner(runs, clock=SystemClock(), stop_grace_seconds=2, execution=self._execution())

    def _execution(self) -> Execution:
        return HostProcesses(self._directory)

    def _starts(self, uid: str) -> Path:
        return self._directory / f"starts-{uid}"

    def trial(self, name: str, behaviour: Behaviour, *, uid: str = "") -> Trial:
        uid = uid or f"uid-{name}"
        script = 'echo started >> "$0"; ' + SCRIPTS[behaviour]
        container = {"name": "main", "command": ["/bin/sh", "-c"], "args": [script, str(self._starts(uid))]}
        pod = {"restartPolicy": "Never", "containers": [{**container, **self._surroundings}], **self._pod}
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }
        return Trial(metadata=ObjectMeta(name=name, uid=uid), spec=TrialSpec(run_spec=job))

    def reopen(self) -> None:
        self.runner.close(stop_runs=False)
        self.runner = self._make()

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def starts_of(self, trial: Trial) -> int:
        path = self._starts(trial.metadata.uid or "")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def close(self) -> None:
        self.runner.close(stop_runs=True)


class ContainerSubject(LocalSubject):
    """Containers of the stand-in for an engine; those of podman have tests of their own."""

    def __init__(self, directory: Path) -> None:
        self._stack = ExitStack()
        self._engine = self._stack.enter_context(engine_of("standin"))
        where = str(directory)
        self._pod = {"volumes": [{"name": "starts", "hostPath": {"path": where}}]}
        self._surroundings = {
            "image": IMAGE,
            "volumeMounts": [{"name": "starts", "mountPath": where}],
        }
        super().__init__(directory)

    def _execution(self) -> Execution:
        return Containers(self._engine.engine, working_directory=self._directory)

    def close(self) -> None:
        with self._stack:
            super().close()
            assert self._engine.containers() == []


class SimulatedSubject:
    def __init__(self, directory: Path) -> None:
        self._behaviours: dict[str, Behaviour] = {}
        self._world = SimulatedWorld(self._script)
        self.runner = SimulatedRunner(self._world)

    def _script(self, trial: Trial) -> Script:
        behaviour = self._behaviours[trial.metadata.uid or ""]
        if behaviour is Behaviour.LASTS:
            return Script(duration_seconds=float("inf"), stop_seconds=3)
        return Script(exit_code=FAILING_EXIT_CODE if behaviour is Behaviour.FAILS else 0)

    def trial(self, name: str, behaviour: Behaviour, *, uid: str = "") -> Trial:
        trial = Trial(metadata=ObjectMeta(name=name, uid=uid or f"uid-{name}"))
        self._behaviours[trial.metadata.uid or ""] = behaviour
        return trial

    def reopen(self) -> None:
        self._world.crash()
        self.runner = SimulatedRunner(self._world)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        while not condition():
            if not self._world.advance():
                return condition()
        return True

    def starts_of(self, trial: Trial) -> int:
        return self._world.starts.count(trial.metadata.uid or "")

    def close(self) -> None:
        self.runner.close(stop_runs=True)


SUBJECTS = {"local": LocalSubject, "container": ContainerSubject, "simulated": SimulatedSubject}


@pytest.fixture(params=SUBJECTS.values(), ids=list(SUBJECTS))
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunnerSubject]:
    made = request.param(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_runner_keeps_its_promise(subject: RunnerSubject, check: Check) -> None:
    check.run(subject)
