"""Trials of several processes, on a real runner with real processes."""

from __future__ import annotations

import json
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

from katibpy.api.conditions import compile_condition
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment, ExperimentSpec, TrialTemplate
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.gang.job import replica_log
from katibpy.runners.local import LocalRunner
from katibpy.runners.stragglers import ATTEMPT_VARIABLE
from tests.integration.command_here import AlgorithmAddress, CommandHere
from tests.integration.katib_command import ROOT, metric

DEADLINE_SECONDS = 30.0

OWNER = """
import sys, threading
from pathlib import Path
from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.runners.local import LocalRunner

runner = LocalRunner(Path(sys.argv[1]), clock=SystemClock())
runner.start(Trial.model_validate_json(sys.argv[2]))
threading.Event().wait()
"""


def eventually(condition: Callable[[], bool], said: str = "it did not come true in time") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.01)


def role(script: str, *, count: int = 1, policy: str = "Never") -> dict[str, Any]:
    container = {"name": "pytorch", "command": ["/bin/sh", "-c", script]}
    template = {"spec": {"containers": [container]}}
    return {"replicas": count, "restartPolicy": policy, "template": template}


def pytorch_trial(name: str, master: str, worker: str, *, policy: str = "Never", **policies: Any) -> Trial:
    roles = {"Master": role(master, policy=policy), "Worker": role(worker, count=2, policy=policy)}
    spec = {"pytorchReplicaSpecs": roles, "runPolicy": policies}
    return trial_of(name, {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": spec})


def trial_of(name: str, job: dict[str, Any], *, container: str = "pytorch") -> Trial:
    job["metadata"] = {"name": name}
    given = TrialTemplate(trial_spec=job, primary_container_name=container)
    template = with_defaults(Experiment(spec=ExperimentSpec(trial_template=given))).spec.trial_template
    assert template is not None
    return Trial(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}"),
        spec=TrialSpec(
            run_spec=job,
            primary_container_name=container,
            primary_pod_labels=template.primary_pod_labels,
            success_condition=template.success_condition,
            failure_condition=template.failure_condition,
        ),
    )


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runner = LocalRunner(directory / "runs", clock=SystemClock(), stop_grace_seconds=1)

    def end(self, trial: Trial) -> RunState:
        eventually(
            lambda: self.runner.observe(trial).phase is RunPhase.ENDED, f"{trial.metadata.name} goes on"
        )
        return self.runner.observe(trial)

    def run(self, trial: Trial) -> RunState:
        self.runner.start(trial)
        return self.end(trial)

    def log(self, trial: Trial, replica: str = "") -> Path:
        output = self.runner.outputs(trial).stdout
        return replica_log(output.parent, replica) if replica else output

    def said(self, trial: Trial, text: str, *replicas: str) -> None:
        for path in (self.log(trial, replica) for replica in replicas):
            eventually(lambda path=path: path.exists() and text in path.read_text(), f"{path}: no {text}")  # type: ignore[misc]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close(stop_runs=True)


def holds(condition: str, state: RunState) -> bool:
    return compile_condition(condition).evaluate(state.resource) is not None


def verdicts(trial: Trial, state: RunState) -> tuple[bool, bool]:
    """Whether the trial's own conditions call it a success, and a failure."""
    return holds(trial.spec.success_condition, state), holds(trial.spec.failure_condition, state)


def members_of(trial: Trial, bench: Bench) -> list[int]:
    """Living processes of the trial's first attempt, by the mark in their environments."""
    mark = f"{ATTEMPT_VARIABLE}={bench.log(trial).parent / 'attempt-1'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_replicas_find_each_other_and_the_master_speaks_for_all(bench: Bench) -> None:
    # The master listens on its address; each worker tells it its rank and is answered.
    master = f"""exec "{sys.executable}" -c '
import os, socket
world = int(os.environ["WORLD_SIZE"])
with socket.create_server((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))) as server:
    ranks = []
    while len(ranks) < world - 1:
        connection, _ = server.accept()
        with connection:
            ranks.append(connection.recv(9).decode())
            connection.sendall(b"ok")
print("score=" + ",".join(sorted(ranks)))'
"""
    worker = f"""exec "{sys.executable}" -c '
import os, socket, time
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
while True:
    try:
        with socket.create_connection(address) as connection:
            connection.sendall(os.environ["RANK"].encode())
            print(connection.recv(9).decode())
            break
    except OSError:
        time.sleep(0.02)'
"""
    trial = pytorch_trial("talk", master, worker)
    state = bench.run(trial)
    assert (state.reason, state.exit_code) == ("Completed", 0), state
    assert verdicts(trial, state) == (True, False)
    assert bench.log(trial).read_text() == "score=1,2\n"
    assert bench.log(trial, "worker-0").read_text() == bench.log(trial, "worker-1").read_text() == "ok\n"
    status = state.resource["status"]
    assert [(each["type"], each["status"]) for each in status["conditions"]] == [
        ("Created", "True"),
        ("Running", "False"),
        ("Succeeded", "True"),
    ]
    assert status["replicaStatuses"] == {"Master": {"succeeded": 1}, "Worker": {"succeeded": 2}}
    assert status["completionTime"] >= status["startTime"]


def test_one_replica_that_fails_ends_the_trial_and_is_named(bench: Bench) -> None:
    worker = 'if [ "$RANK" = 2 ]; then echo "ValueError: no data"; exit 3; fi; exec sleep 60'
    trial = pytorch_trial("broken", "exec sleep 60", worker, backoffLimit=3)
    state = bench.run(trial)
    assert (state.reason, state.exit_code) == ("ProcessFailed", 3)
    assert verdicts(trial, state) == (False, True)
    assert state.message.startswith(
        "replica worker-1 failed (its last line: ValueError: no data): the process ended with exit code 3"
    )
    assert state.resource["status"]["replicaStatuses"] == {"Master": {"failed": 1}, "Worker": {"failed": 2}}
    assert not (bench.log(trial).parent / "attempt-2").exists()


def test_a_gang_is_tried_again_as_a_whole(bench: Bench) -> None:
    marker = bench.directory / "marker"
    worker = (
        f'if [ "$RANK" = 2 ] && [ ! -e "{marker}" ]; then : > "{marker}"; exit 1; fi; echo "$MASTER_PORT"'
    )
    trial = pytorch_trial("again", 'sleep 0.5; echo "$MASTER_PORT"', worker, policy="OnFailure")
    state = bench.run(trial)
    assert state.reason == "Completed", state
    ports = bench.log(trial, "worker-1").read_text().split()
    assert len(ports) == 1
    assert bench.log(trial).read_text().split()[-1] == ports[0]
    assert (bench.log(trial).parent / "attempt-2").is_dir()


def test_a_command_that_one_replica_lacks_starts_none(bench: Bench) -> None:
    marker = bench.directory / "marker"
    trial = pytorch_trial("lost", f': > "{marker}"', "true")
    worker = trial.spec.run_spec["spec"]["pytorchReplicaSpecs"]["Worker"]
    worker["template"]["spec"]["containers"][0]["command"] = ["no-such-program-anywhere"]
    state = bench.run(trial)
    assert state.reason == "CommandNotFound"
    assert state.message.startswith("replica worker-0: command 'no-such-program-anywhere' was not found")
    assert verdicts(trial, state) == (False, True)
    assert not marker.exists()


def test_a_deadline_ends_all_replicas(bench: Bench) -> None:
    trial = pytorch_trial("slow", "exec sleep 60", "exec sleep 60", activeDeadlineSeconds=1)
    state = bench.run(trial)
    assert state.reason == "DeadlineExceeded"
    assert verdicts(trial, state) == (False, True)
    if Path("/proc/self/environ").exists():
        eventually(lambda: members_of(trial, bench) == [])


def test_a_stop_reaches_every_replica(bench: Bench) -> None:
    script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    trial = pytorch_trial("stop", script, script)
    bench.runner.start(trial)
    replicas = ("", "worker-0", "worker-1")
    bench.said(trial, "ready", *replicas)
    bench.runner.stop(trial)
    state = bench.end(trial)
    assert state.reason == "Stopped"
    assert verdicts(trial, state) == (False, False)
    bench.said(trial, "saved", *replicas)
    if Path("/proc/self/environ").exists():
        assert members_of(trial, bench) == []


def test_a_running_gang_is_found_again_after_its_program_was_killed(bench: Bench) -> None:
    wait = 'echo began; while [ ! -e "$0.go" ]; do sleep 0.05; done; exit 0'
    trial = pytorch_trial("found", wait, wait)
    for name in ("Master", "Worker"):
        template = trial.spec.run_spec["spec"]["pytorchReplicaSpecs"][name]["template"]
        template["spec"]["containers"][0]["args"] = [str(bench.directory / "marker")]
    text = trial.model_dump_json(by_alias=True)
    with subprocess.Popen([sys.executable, "-c", OWNER, str(bench.directory / "runs"), text]) as owner:
        try:
            bench.said(trial, "began", "", "worker-0", "worker-1")
        finally:
            owner.kill()
    state = bench.runner.observe(trial)
    assert state.phase is RunPhase.RUNNING
    assert state.resource["status"]["replicaStatuses"] == {"Master": {"active": 1}, "Worker": {"active": 2}}
    (bench.directory / "marker.go").touch()
    state = bench.end(trial)
    assert (state.reason, state.exit_code) == ("Completed", 0)
    assert bench.log(trial, "worker-1").read_text() == "began\n"


def test_replicas_do_not_outlive_the_program_that_keeps_them(bench: Bench) -> None:
    trial = pytorch_trial("orphans", "echo began; exec sleep 60", "echo began; exec sleep 60")
    bench.runner.start(trial)
    bench.said(trial, "began", "", "worker-0", "worker-1")
    if not Path("/proc/self/environ").exists():
        pytest.skip("there is no /proc here by which the program that keeps the gang could be found")
    keepers = [pid for pid in members_of(trial, bench) if b"gang.launch" in _command_line(pid)]
    os.kill(max(keepers), signal.SIGKILL)
    assert bench.end(trial).reason == "ProcessKilled"
    eventually(lambda: members_of(trial, bench) == [])


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_train_job_is_complete_when_all_nodes_are(bench: Bench) -> None:
    script = 'echo "node $PET_NODE_RANK of $PET_NNODES"'
    trainer = {"command": ["/bin/sh", "-c", script], "numNodes": 2}
    spec = {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer}
    job = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "spec": spec}
    trial = trial_of("train", job, container="node")
    state = bench.run(trial)
    assert verdicts(trial, state) == (True, False)
    assert state.resource["status"]["jobsStatus"][0]["succeeded"] == 1
    assert bench.log(trial).read_text() == "node 0 of 2\n"
    assert bench.log(trial, "node-1").read_text() == "node 1 of 2\n"


def test_only_the_primary_replica_reports(tmp_path: Path, algorithms: AlgorithmAddress) -> None:
    document = yaml.safe_load((ROOT / "examples/pytorch-ddp/experiment.yaml").read_text())
    document["metadata"]["name"] = "gang"
    document["spec"] |= {"maxTrialCount": 1, "maxFailedTrialCount": 1}
    roles = document["spec"]["trialTemplate"]["trialSpec"]["spec"]["pytorchReplicaSpecs"]
    for title, accuracy in (("Master", "0.25"), ("Worker", "0.75")):
        container = roles[title]["template"]["spec"]["containers"][0]
        container["command"] = ["/bin/sh", "-c", f"echo accuracy={accuracy} loss=1 $0 $1"]
        container["args"] = ["${trialParameters.learningRate}", "${trialParameters.hidden}"]
    file = tmp_path / "gang.yaml"
    file.write_text(yaml.safe_dump(document))
    # The examples' trials run in the repository's root.
    katib = CommandHere(ROOT, algorithms)
    state = ("--state-dir", tmp_path / "state")
    ended = katib("run", file, "-q", *state)
    assert ended.code == 0, ended
    (trial,) = json.loads(katib("get", "trials", "-A", "-o", "json", *state).stdout)["items"]
    name = trial["metadata"]["name"]
    assert metric(trial["status"], "accuracy") == dict.fromkeys(("min", "max", "latest"), "0.25")
    assert katib("logs", name, *state).stdout.startswith("accuracy=0.25 ")
    assert katib("logs", name, "--replica", "worker-0", *state).stdout.startswith("accuracy=0.75 ")
    missing = katib("logs", name, "--replica", "worker-1", *state)
    assert missing.code == 1
    assert f"trial '{name}' has no replica 'worker-1', but worker-0" in missing.stderr
