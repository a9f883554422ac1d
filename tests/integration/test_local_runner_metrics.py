"""From a process on this host to values in the store: runner and collector together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.experiment import Collector, FileSystemPath, MetricsCollectorSpec, MetricsSource, Objective
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.collectors.tail import LocalCollector
from katibpy.core.runs import CollectionState, RunPhase
from katibpy.runners.local import LocalRunner
from katibpy.stores.memory_observations import MemoryObservationStore

DEADLINE_SECONDS = 20.0
DEFAULT_FILE = "/var/log/katib/metrics.log"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def make_trial(
    name: str, container: dict[str, Any], *, path: str = "", form: str = "TEXT", **pod: Any
) -> Trial:
    file = FileSystemPath(path=path, kind="File", format=form)
    collector = MetricsCollectorSpec(
        collector=Collector(kind="File" if path else "StdOut"),
        source=MetricsSource(file_system_path=file) if path else None,
    )
    template = {"spec": {"containers": [{"name": "main", **container}], **pod}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": template}}
    spec = TrialSpec(
        run_spec=job,
        metrics_collector=collector,
        objective=Objective(type="minimize", objective_metric_name="loss"),
    )
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=spec)


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = MemoryObservationStore()
        self.runner = LocalRunner(directory, clock=SystemClock(), stop_grace_seconds=1)
        self.collector = LocalCollector(self.store, clock=SystemClock())

    def begin(self, trial: Trial) -> None:
        self.runner.start(trial)
        self.collector.attach(trial, self.runner.outputs(trial))

    def end(self, trial: Trial) -> CollectionState:
        eventually(lambda: self.runner.observe(trial).phase is RunPhase.ENDED)
        self.collector.finish(trial)
        eventually(lambda: self.collector.observe(trial).is_drained)
        return self.collector.observe(trial)

    def texts(self, trial: Trial) -> list[str]:
        return [value.text for value in self.store.read(trial.metadata.uid or "", metric="loss")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "runs")
    yield made
    made.runner.close(stop_runs=True)
    made.collector.close()


def test_printed_metrics_of_trials_at_the_same_time_do_not_mix(bench: Bench) -> None:
    trials = [
        make_trial(
            f"t{number}", {"command": ["sh", "-c", f"echo loss={number}; sleep 0.1; printf loss=1{number}"]}
        )
        for number in range(6)
    ]
    for trial in trials:
        bench.begin(trial)
    for number, trial in enumerate(trials):
        bench.end(trial)
        assert bench.texts(trial) == [str(number), f"1{number}"]


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["sh", "-c", f"echo loss=$0 > {DEFAULT_FILE}"]},
        {"command": ["sh", "-c", 'echo "loss=$0" > "$1"'], "log": DEFAULT_FILE},
        {"command": ["sh", "-c", 'echo "loss=$0" > "$1/metrics.log"'], "log": "/var/log/katib"},
        {"command": ["sh", "-c", 'echo "loss=$0" > "$LOG"'], "env": [{"name": "LOG", "value": DEFAULT_FILE}]},
        {"command": ["sh", "-c", 'echo "loss=$0" > "$KATIB_METRICS_FILE"']},
    ],
    ids=["in-a-script", "as-an-argument", "its-directory", "in-the-environment", "by-our-variable"],
)
def test_every_trial_writes_a_metrics_file_of_its_own(bench: Bench, container: dict[str, Any]) -> None:
    container = dict(container)
    log = container.pop("log", None)
    trials = [
        make_trial(
            f"t{number}", {**container, "args": [str(number), *([log] if log else [])]}, path=DEFAULT_FILE
        )
        for number in range(2)
    ]
    for trial in trials:
        bench.begin(trial)
    for number, trial in enumerate(trials):
        assert bench.end(trial).problem == ""
        assert bench.texts(trial) == [str(number)]
    assert not os.path.exists(DEFAULT_FILE)


def test_a_metrics_file_that_nobody_names_is_read_where_it_is(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "shared" / "metrics.json"
    program = tmp_path / "train.py"
    program.write_text(f"with open({str(file)!r}, 'a') as f: f.write('{{\"loss\": 0.5}}\\n')\n")
    file.parent.mkdir()
    file.write_text('{"loss": 99}\n')
    trial = make_trial("t", {"command": [sys.executable, str(program)]}, path=str(file), form="JSON")
    bench.begin(trial)
    bench.end(trial)
    assert bench.texts(trial) == ["0.5"]


def test_an_empty_directory_is_the_trials_own(bench: Bench) -> None:
    script = (
        "ls -A /scratch-of-the-trial; echo x > /scratch-of-the-trial/f; ls /scratch-of-the-trial; echo loss=1"
    )
    for name in ("a", "b"):
        trial = make_trial(
            name,
            {
                "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch-of-the-trial"}],
            },
            volumes=[{"name": "scratch", "emptyDir": {}}],
        )
        bench.begin(trial)
        bench.end(trial)
        assert bench.runner.outputs(trial).stdout.read_text() == "f\nloss=1\n"


def test_values_appear_while_the_trial_runs_and_all_of_them_after_a_stop(bench: Bench) -> None:
    program = "import time\nfor i in range(1000):\n    print(f'loss={i}')\n    time.sleep(0.01)"
    trial = make_trial("live", {"command": [sys.executable, "-c", program]})
    bench.begin(trial)
    eventually(lambda: len(bench.texts(trial)) >= 3)
    bench.runner.stop(trial)
    bench.end(trial)
    printed = [line[5:] for line in bench.runner.outputs(trial).stdout.read_text().splitlines()]
    assert bench.texts(trial) == printed


def test_metrics_survive_a_restart_of_runner_and_collector(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = 'echo loss=1; while [ ! -e "$0" ]; do sleep 0.02; done; echo loss=2'
    trial = make_trial("long", {"command": ["sh", "-c", script, str(gate)]})
    bench.begin(trial)
    eventually(lambda: bench.texts(trial) == ["1"])
    bench.runner.close(stop_runs=False)
    bench.collector.close()
    bench.runner = LocalRunner(bench.directory, clock=SystemClock())
    bench.collector = LocalCollector(bench.store, clock=SystemClock())
    bench.begin(trial)
    gate.touch()
    bench.end(trial)
    assert bench.texts(trial) == ["1", "2"]


def test_a_trial_that_deletes_its_directory_loses_no_metrics_that_were_open(bench: Bench) -> None:
    script = 'echo loss=1; sleep 0.5; rm -rf "$(dirname "$KATIB_ATTEMPT_DIRECTORY")"; echo loss=2'
    trial = make_trial("vandal", {"command": ["sh", "-c", script]})
    bench.begin(trial)
    eventually(lambda: bench.texts(trial) == ["1"])
    state = bench.end(trial)
    assert bench.texts(trial) == ["1", "2"]
    assert state.last_lines == ("loss=1", "loss=2")


def test_a_trial_without_its_metrics_file_is_told_where_it_should_have_been(bench: Bench) -> None:
    trial = make_trial(
        "forgetful", {"command": ["sh", "-c", f": {DEFAULT_FILE}; echo done"]}, path=DEFAULT_FILE
    )
    bench.begin(trial)
    state = bench.end(trial)
    assert f"({DEFAULT_FILE} of the template) was never written" in state.problem
    assert state.last_lines == ("done",)


@pytest.mark.parametrize(("policy", "found"), [("Never", "f\n" * 3), ("OnFailure", "f\nf\nf\nf\nf\nf\n")])
def test_an_empty_directory_is_fresh_for_every_pod(bench: Bench, policy: str, found: str) -> None:
    script = 'echo x > /scratch/f"$(ls /scratch | wc -l)"; ls /scratch | sed "s/[0-9]//"; exit 1'
    trial = make_trial(
        "again",
        {
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        },
        volumes=[{"name": "scratch", "emptyDir": {}}],
        restartPolicy=policy,
    )
    trial.spec.run_spec["spec"]["backoffLimit"] = 2
    bench.begin(trial)
    bench.end(trial)
    assert bench.runner.outputs(trial).stdout.read_text() == found


def test_metrics_in_an_empty_directory_are_those_of_all_attempts(bench: Bench) -> None:
    script = f"echo loss=$(cat {DEFAULT_FILE} | wc -l) >> {DEFAULT_FILE}; touch /var/log/katib/x; exit 1"
    trial = make_trial(
        "again",
        {
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "logs", "mountPath": "/var/log/katib"}],
        },
        path=DEFAULT_FILE,
        volumes=[{"name": "logs", "emptyDir": {}}],
    )
    trial.spec.run_spec["spec"]["backoffLimit"] = 2
    bench.begin(trial)
    bench.end(trial)
    assert bench.texts(trial) == ["0", "1", "2"]


def test_an_empty_directory_hides_what_this_host_has_at_its_path(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "of-the-host").touch()
    trial = make_trial(
        "hidden",
        {
            "command": ["sh", "-c", 'ls "$0"; touch "$0/of-the-trial"', str(tmp_path / "data")],
            "volumeMounts": [{"name": "data", "mountPath": str(tmp_path / "data")}],
        },
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    bench.begin(trial)
    bench.end(trial)
    assert bench.runner.outputs(trial).stdout.read_text() == ""
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["of-the-host"]
