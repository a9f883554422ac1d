"""Trials in containers, on a stand-in for an engine everywhere, and on podman where that works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from katibpy.api.experiment import Collector, FileSystemPath, MetricsCollectorSpec, MetricsSource
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.attempt import Attempt
from katibpy.runners.container.containers import Containers
from katibpy.runners.local import LocalRunner
from tests.integration.command_here import CommandHere
from tests.integration.container_engines import (
    ENTRYPOINT_IMAGE,
    IMAGE,
    EngineMissing,
    TestEngine,
    engine_of,
)

DEADLINE_SECONDS = 30.0

OWNER = """
import sys, threading
from pathlib import Path
from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.container.containers import Containers
from katibpy.runners.local import LocalRunner

execution = Containers(ENGINES["podman"](sys.argv[1]), working_directory=Path("/"))
runner = LocalRunner(Path(sys.argv[2]), clock=SystemClock(), execution=execution)
runner.start(Trial.model_validate_json(sys.argv[3]))
threading.Event().wait()
"""


@pytest.fixture(scope="module", params=["standin", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[TestEngine]:
    try:
        with engine_of(request.param) as made:
            yield made
    except EngineMissing as error:
        pytest.skip(str(error))


def eventually(condition: Callable[[], bool], said: str = "it did not come true in time") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


class Bench:
    def __init__(self, directory: Path, engine: TestEngine) -> None:
        self.directory = directory
        self.engine = engine
        self.runner = self.new_runner()

    def new_runner(self) -> LocalRunner:
        execution = Containers(self.engine.engine, working_directory=Path("/"))
        runs = self.directory / "runs"
        return LocalRunner(runs, clock=SystemClock(), stop_grace_seconds=1, execution=execution)

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

    def said(self, trial: Trial, text: str) -> None:
        path = self.runner.outputs(trial).stdout
        eventually(
            lambda: path.exists() and text in path.read_text(), f"{trial.metadata.name} never said {text}"
        )


@pytest.fixture
def bench(tmp_path: Path, engine: TestEngine) -> Iterator[Bench]:
    made = Bench(tmp_path, engine)
    yield made
    made.runner.close(stop_runs=True)
    assert engine.containers() == []


def make_trial(
    name: str,
    command: list[str] | None,
    *,
    pod: dict[str, Any] | None = None,
    collector: MetricsCollectorSpec | None = None,
    backoff: int = 0,
    **container: Any,
) -> Trial:
    container = {"name": "main", "image": IMAGE, **container}
    if command is not None:
        container["command"] = command
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container], **(pod or {})}}}
    run_spec = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": backoff, **spec},
    }
    trial = TrialSpec(run_spec=run_spec, metrics_collector=collector or MetricsCollectorSpec())
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=trial)


def shell_trial(name: str, script: str, *args: str, **options: Any) -> Trial:
    return make_trial(name, ["/bin/sh", "-c", script, *args], **options)


def test_output_and_exit_code_are_the_containers(bench: Bench) -> None:
    state = bench.run(shell_trial("talk", "echo out; echo err >&2; exit 3"))
    assert (state.reason, state.exit_code) == ("ProcessFailed", 3)
    assert sorted(bench.output(make_trial("talk", None)).split()) == ["err", "out"]


def test_words_and_variables_arrive_as_they_are(bench: Bench) -> None:
    values = {"PLAIN": "a b", "LINES": "x\ny", "HOME": "/some where", "MIXED": "'\"$x`*;", "EMPTY": ""}
    script = 'for each in "$PLAIN" "$LINES" "$HOME" "$MIXED" "$EMPTY" "$0" "$1"; do echo "<$each>"; done'
    env = [{"name": name, "value": value} for name, value in values.items()]
    trial = shell_trial("exact", script, "$(PLAIN)", "; exit 9", env=env)
    assert bench.run(trial).exit_code == 0
    words = (*values.values(), "a b", "; exit 9")
    assert bench.output(trial) == "".join(f"<{word}>\n" for word in words)


def test_this_programs_own_variables_stay_outside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATIB_TEST_SECRET", "of the host")
    trial = shell_trial("clean", 'echo "<$KATIB_TEST_SECRET> <$KATIB_TRIAL_NAME>"')
    bench.run(trial)
    assert bench.output(trial) == "<> <clean>\n"


def test_an_images_own_entrypoint_runs_when_no_command_is_given(bench: Bench) -> None:
    plain = make_trial("plain", None, image=ENTRYPOINT_IMAGE)
    told = make_trial("told", None, image=ENTRYPOINT_IMAGE, args=["with", "these"])
    replaced = make_trial("replaced", ["/bin/echo", "other"], image=ENTRYPOINT_IMAGE)
    assert {bench.run(each).exit_code for each in (plain, told, replaced)} == {0}
    assert bench.output(plain) == "entry by default\n"
    assert bench.output(told) == "entry with these\n"
    assert bench.output(replaced) == "other\n"


def test_an_empty_directory_is_the_trials_own_and_new_for_every_attempt(bench: Bench) -> None:
    script = 'cat "$0/old" 2>/dev/null; echo x > "$0/old"; ls "$0"; exit 1'
    pod = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    mounts = [{"name": "scratch", "mountPath": "/katib-scratch"}]
    trial = shell_trial("scratch", script, "/katib-scratch", pod=pod, volumeMounts=mounts, backoff=1)
    assert bench.run(trial).resource["status"]["failed"] == 2
    assert bench.output(trial) == "old\nold\n"


def test_a_host_path_is_mounted_and_one_that_is_missing_is_named(bench: Bench) -> None:
    data = bench.directory / "data"
    data.mkdir()
    (data / "in").write_text("given\n")
    mounts = [{"name": "data", "mountPath": "/katib-data"}]
    pod = {"volumes": [{"name": "data", "hostPath": {"path": str(data)}}]}
    script = 'cat "$0/in"; echo made > "$0/out"'
    trial = shell_trial("data", script, "/katib-data", pod=pod, volumeMounts=mounts)
    assert bench.run(trial).exit_code == 0
    assert bench.output(trial) == "given\n"
    assert (data / "out").read_text() == "made\n"
    pod = {"volumes": [{"name": "data", "hostPath": {"path": str(data / "missing")}}]}
    state = bench.run(shell_trial("lost", "true", pod=pod, volumeMounts=mounts))
    assert state.reason == "StartFailed"
    assert f"hostPath {data / 'missing'} does not exist" in state.message


def test_a_metrics_file_is_written_inside_and_read_outside(bench: Bench) -> None:
    path = FileSystemPath(kind="File", path="/var/log/katib/m.log", format="TEXT")
    collector = MetricsCollectorSpec(
        collector=Collector(kind="File"), source=MetricsSource(file_system_path=path)
    )
    script = 'echo score=1 > "$0"; echo "$KATIB_METRICS_FILE"'
    trial = shell_trial("metrics", script, "/var/log/katib/m.log", collector=collector)
    assert bench.run(trial).exit_code == 0
    found = bench.runner.outputs(trial).metrics_path
    assert found is not None
    assert found.read_text() == "score=1\n"
    assert bench.output(trial) == "/var/log/katib/m.log\n"
    assert not Path("/var/log/katib/m.log").exists()


def test_an_image_that_is_not_there_is_told_in_the_engines_words(bench: Bench) -> None:
    state = bench.run(make_trial("lost", ["/bin/true"], image="localhost/no-such:1", imagePullPolicy="Never"))
    assert (state.reason, state.exit_code) == ("ProcessFailed", 125)
    assert state.message.startswith("podman could not start the container (Error: ")


def test_a_command_that_the_image_lacks_is_told_in_the_engines_words(bench: Bench) -> None:
    state = bench.run(make_trial("lost", ["/no/such/program"]))
    assert state.exit_code == 127
    assert state.message.startswith("podman could not start the command (Error: ")
    assert "/no/such/program" in state.message


def test_more_memory_than_the_limit_is_reported(bench: Bench) -> None:
    # The stand-in enforces nothing: there the trial plays its part, and is marked as the engine marks it.
    script = 'test -n "$OUT_OF_MEMORY" && kill -KILL $$$$; x=$(head -c 100000000 /dev/zero | tr "\\0" x)'
    env = [{"name": "OUT_OF_MEMORY", "value": "1"}] if bench.engine.kind == "standin" else []
    limits = {"limits": {"memory": "24Mi"}}
    state = bench.run(shell_trial("greedy", script, env=env, resources=limits))
    assert state.exit_code == 137
    if bench.engine.kind == "standin":
        assert state.reason == "OutOfMemory"
        assert "used more memory than" in state.message
    else:
        # Not every podman sees why: it depends on the kind of control groups.
        assert state.reason in ("OutOfMemory", "ProcessKilled")
        assert "memory" in state.message


def test_a_trial_may_save_its_work_when_it_is_stopped(bench: Bench) -> None:
    script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    trial = shell_trial("saver", script)
    bench.runner.start(trial)
    bench.said(trial, "ready")
    bench.runner.stop(trial)
    assert bench.end(trial).reason == "Stopped"
    assert "saved" in bench.output(trial)


def test_a_trial_that_does_not_listen_is_killed(bench: Bench) -> None:
    trial = shell_trial("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    bench.runner.start(trial)
    bench.said(trial, "ready")
    began = time.monotonic()
    bench.runner.stop(trial)
    assert bench.end(trial).reason == "Stopped"
    assert 0.9 < time.monotonic() - began < 10
    assert bench.engine.containers() == []


def test_a_container_is_found_again_after_its_program_was_killed(bench: Bench) -> None:
    marker = bench.directory / "shared"
    marker.mkdir()
    mounts = [{"name": "shared", "mountPath": "/katib-shared"}]
    pod = {"volumes": [{"name": "shared", "hostPath": {"path": str(marker)}}]}
    script = 'echo began; while [ ! -e "$0/go" ]; do sleep 0.05; done; exit 4'
    trial = shell_trial("found", script, "/katib-shared", pod=pod, volumeMounts=mounts)
    with _owner(bench, trial) as owner:
        try:
            bench.said(trial, "began")
        finally:
            owner.kill()
    assert bench.runner.observe(trial).phase is RunPhase.RUNNING
    assert len(bench.engine.containers()) == 1
    (marker / "go").touch()
    state = bench.end(trial)
    assert (state.reason, state.exit_code) == ("ProcessFailed", 4)
    assert bench.output(trial) == "began\n"
    assert bench.engine.containers() == []


def test_a_container_does_not_outlive_the_command_that_runs_it(bench: Bench) -> None:
    trial = shell_trial("orphan", "trap '' TERM; echo began; while :; do sleep 0.05; done")
    bench.runner.start(trial)
    bench.said(trial, "began")
    pid = Attempt(bench.runner.outputs(trial).stdout.parent / "attempt-1").pid()
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    assert bench.end(trial).reason == "ProcessKilled"
    eventually(lambda: bench.engine.containers() == [])


def test_a_program_that_runs_processes_removes_a_container_that_it_finds(bench: Bench) -> None:
    trial = shell_trial("other", "trap '' TERM; echo began; while :; do sleep 0.05; done")
    with _owner(bench, trial) as owner:
        try:
            bench.said(trial, "began")
        finally:
            owner.kill()
    other = LocalRunner(bench.directory / "runs", clock=SystemClock(), stop_grace_seconds=0.5)
    try:
        other.stop(trial)
        eventually(lambda: other.observe(trial).phase is RunPhase.ENDED)
    finally:
        other.close(stop_runs=True)
    assert bench.engine.containers() == []


def test_replicas_are_containers_that_fail_together(bench: Bench) -> None:
    def role(script: str) -> dict[str, Any]:
        container = {"name": "pytorch", "image": IMAGE, "command": ["/bin/sh", "-c", script]}
        return {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [container]}}}

    forever = (
        'echo "$MASTER_ADDR rank $RANK of $WORLD_SIZE"; trap "exit 0" TERM; while :; do sleep 0.05; done'
    )
    roles = {"Master": role(forever), "Worker": role("echo ValueError: no data; sleep 1; exit 3")}
    job = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": roles}}
    spec = TrialSpec(run_spec={**job, "metadata": {"name": "gang"}}, primary_container_name="pytorch")
    trial = Trial(metadata=ObjectMeta(name="gang", uid="uid-gang"), spec=spec)
    state = bench.run(trial)
    assert state.exit_code == 3, state
    assert state.message.startswith("replica worker-0 failed (its last line: ValueError: no data)")
    assert bench.output(trial) == "127.0.0.1 rank 0 of 2\n"
    assert bench.engine.containers() == []


def test_katib_run_takes_images_as_they_are(engine: TestEngine, tmp_path: Path, here: CommandHere) -> None:
    container = {"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", 'echo "score=$0"']}
    container["args"] = ["${trialParameters.x}"]
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    space = {"min": "0", "max": "1"}
    document = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "boxed"},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 1,
            "maxTrialCount": 2,
            "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}},
            },
        },
    }
    file = tmp_path / "boxed.yaml"
    file.write_text(yaml.safe_dump(document))
    ended = here("run", file, "--runner", "container", "-o", "json")
    assert ended.code == 0, ended
    assert '"trialsSucceeded": 2' in ended.stdout
    assert engine.containers() == []


def _owner(bench: Bench, trial: Trial) -> subprocess.Popen[bytes]:
    text = trial.model_dump_json(by_alias=True)
    words = [bench.engine.engine.program, str(bench.directory / "runs"), text]
    return subprocess.Popen([sys.executable, "-c", OWNER, *words])


def test_a_container_goes_on_from_the_checkpoints_of_another(bench: Bench) -> None:
    script = 'cat "$1"; echo "$0" >> "$1"; chmod 400 "$1"; mkdir -p "$2"'
    for name, parent in (("first", ""), ("second", "first"), ("third", "second")):
        trial = shell_trial(name, script, name, "/ckpt/steps", "/ckpt/deep")
        labels = {CHECKPOINT_FROM_LABEL: parent} if parent else {}
        spec = trial.spec.but(checkpoint_path="/ckpt")
        trial = trial.but(metadata=trial.metadata.but(labels=labels), spec=spec)
        assert bench.run(trial).exit_code == 0, bench.output(trial)
    assert bench.output(trial).split() == ["first", "second"]
