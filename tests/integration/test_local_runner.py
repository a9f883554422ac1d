"""Trials that misbehave, on a real runner with real processes."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.ports import Key
from katibpy.runners.attempt import Attempt
from katibpy.runners.free_disk import DiskFloor, FreeDisk
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


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close(stop_runs=True)


def job_condition(state: RunState) -> dict[str, str]:
    (condition,) = state.resource["status"]["conditions"]
    assert condition["status"] == "True"
    return dict(condition)


# How processes end.


def test_the_output_of_both_streams_is_in_one_file_without_a_last_line_end(bench: Bench) -> None:
    trial = python_trial("talk", "import sys; print('out'); sys.stderr.write('err\\n'); print('end', end='')")
    assert bench.run(trial).reason == "Completed"
    assert bench.output(trial) == "out\nerr\nend"


def test_a_process_that_ends_within_a_millisecond_is_seen(bench: Bench) -> None:
    state = bench.run(make_trial("blink", ["true"]))
    assert (state.reason, state.exit_code) == ("Completed", 0)
    assert job_condition(state)["type"] == "Complete"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["no-such-program-anywhere"], "'no-such-program-anywhere' was not found in any directory of PATH"),
        (["./missing.sh"], "there is no file"),
        (["/"], "is a directory"),
        (["./plain.txt"], "is not executable"),
        (["./broken.sh"], "names the interpreter /no/such/interpreter"),
        (["./dangling"], "is a link to"),
    ],
)
def test_a_command_that_cannot_be_run_is_told_exactly(bench: Bench, command: list[str], said: str) -> None:
    workplace = bench.directory / "work"
    workplace.mkdir()
    (workplace / "plain.txt").write_text("echo hi\n")
    (workplace / "broken.sh").write_text("#!/no/such/interpreter\n")
    (workplace / "broken.sh").chmod(0o755)
    (workplace / "dangling").symlink_to("nowhere")
    trial = make_trial("lost", command, backoffLimit=6)
    trial.spec.run_spec["spec"]["template"]["spec"]["containers"][0]["workingDir"] = str(workplace)
    state = bench.run(trial)
    assert state.reason == "CommandNotFound"
    assert said in state.message
    assert job_condition(state)["reason"] == "CommandNotFound"
    assert job_condition(state)["message"] == state.message


def test_a_missing_working_directory_is_told(bench: Bench) -> None:
    trial = make_trial("homeless", ["true"])
    trial.spec.run_spec["spec"]["template"]["spec"]["containers"][0]["workingDir"] = "/no/such/directory"
    state = bench.run(trial)
    assert state.reason == "StartFailed"
    assert "/no/such/directory does not exist" in state.message


def test_a_signal_is_named(bench: Bench) -> None:
    state = bench.run(python_trial("crash", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert (state.reason, state.exit_code) == ("ProcessKilled", 128 + signal.SIGSEGV)
    assert "SIGSEGV" in state.message


def test_a_wrapper_that_is_killed_alone_takes_the_trial_with_it(bench: Bench) -> None:
    trial = python_trial("orphan", "import os, time; print('pid', os.getpid()); time.sleep(60)")
    bench.started(trial)
    bench.said(trial, "pid ")
    pid = int(bench.output(trial).split()[1])
    os.kill(os.getpgid(pid), signal.SIGKILL)
    state = bench.end(trial)
    assert state.reason == "ProcessKilled"
    eventually(lambda: not is_alive(pid))


def test_words_reach_the_process_as_they_are(bench: Bench) -> None:
    words = [
        "a b",
        "$(HOME)",
        "$HOME",
        "`id`",
        "'\"",
        "*",
        "",
        "-n",
        "ü",
        "x\ny",
        "; exit 9",
        "$$(A)",
        "$(A)",
    ]
    trial = python_trial("exact", "import sys; print(ascii(sys.argv[1:]))")
    container = trial.spec.run_spec["spec"]["template"]["spec"]["containers"][0]
    container["args"] = words
    container["env"] = [{"name": "A", "value": "1 2"}]
    bench.run(trial)
    assert bench.output(trial).strip() == ascii([*words[:-2], "$(A)", "1 2"])


def test_words_that_the_shell_knows_are_programs_here(bench: Bench) -> None:
    assert bench.run(make_trial("builtin", ["test", "1", "-eq", "2"])).exit_code == 1
    assert bench.run(make_trial("keyword", ["exit", "7"])).reason == "CommandNotFound"


def test_many_failures_are_tried_again_as_the_job_says(bench: Bench) -> None:
    trial = make_trial("flaky", ["/bin/sh", "-c", "echo try; exit 4"], backoffLimit=2)
    state = bench.run(trial)
    assert bench.output(trial) == "try\n" * 3
    assert state.exit_code == 4
    assert state.resource["status"]["failed"] == 3
    assert job_condition(state)["reason"] == "BackoffLimitExceeded"
    assert "tried 3 times" in state.message


def test_a_second_attempt_may_succeed(bench: Bench) -> None:
    marker = bench.directory / "marker"
    script = 'if [ -e "$0" ]; then exit 0; fi; : > "$0"; exit 1'
    state = bench.run(make_trial("second", ["/bin/sh", "-c", script, str(marker)], backoffLimit=1))
    assert state.reason == "Completed"
    assert (state.resource["status"]["failed"], state.resource["status"]["succeeded"]) == (1, 1)


def test_clearing_up_after_one_attempt_spares_the_next(bench: Bench) -> None:
    marker = bench.directory / "marker"
    script = 'if [ -e "$0" ]; then sleep 1.2; exit 0; fi; : > "$0"; exit 1'
    state = bench.run(make_trial("spared", ["/bin/sh", "-c", script, str(marker)], backoffLimit=3))
    assert (state.reason, state.resource["status"]["failed"]) == ("Completed", 1)


def test_a_job_deadline_ends_the_run_for_good(bench: Bench) -> None:
    began = time.monotonic()
    state = bench.run(make_trial("slow", ["sleep", "60"], activeDeadlineSeconds=1, backoffLimit=6))
    assert 0.9 < time.monotonic() - began < 5
    assert state.reason == "DeadlineExceeded"
    assert job_condition(state)["reason"] == "DeadlineExceeded"
    assert "activeDeadlineSeconds (1)" in state.message


def test_a_pod_deadline_ends_one_attempt(bench: Bench) -> None:
    marker = bench.directory / "marker"
    script = 'if [ -e "$0" ]; then exit 0; fi; : > "$0"; exec sleep 60'
    trial = make_trial(
        "retry", ["/bin/sh", "-c", script, str(marker)], pod={"activeDeadlineSeconds": 1}, backoffLimit=1
    )
    assert bench.run(trial).reason == "Completed"


# Stopping.


def test_a_trial_that_ignores_sigterm_is_killed_after_its_grace_period(bench: Bench) -> None:
    trial = python_trial(
        "stubborn",
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf")
        time.sleep(60)
        """,
    )
    bench.started(trial)
    bench.said(trial, "deaf")
    began = time.monotonic()
    bench.runner.stop(trial)
    assert bench.end(trial).reason == "Stopped"
    assert 0.4 < time.monotonic() - began < 3


def test_a_trial_may_save_its_work_when_it_is_stopped(bench: Bench) -> None:
    # Below a shell that dies at once, as with `sh -c "prepare && train"`.
    code = textwrap.dedent(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), print("saved"), sys.exit()))
        print("ready")
        time.sleep(60)
        """
    )
    trial = make_trial("saver", ["/bin/sh", "-c", 'true; "$0" -c "$1"; true', sys.executable, code])
    bench.started(trial)
    bench.said(trial, "ready")
    bench.runner.stop(trial)
    assert bench.end(trial).reason == "Stopped"
    assert "saved" in bench.output(trial)


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


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "ended"])
def test_grandchildren_do_not_outlive_their_trial(bench: Bench, is_stopped: bool) -> None:
    trial = python_trial("family", FORKING, "60" if is_stopped else "0.2")
    bench.started(trial)
    bench.said(trial, "ready")
    if is_stopped:
        bench.runner.stop(trial)
    state = bench.end(trial)
    assert state.reason == ("Stopped" if is_stopped else "Completed")
    pids = pids_in(bench.output(trial))
    assert len(pids) == 3
    group, apart = [pids[0], pids[2]], pids[1]
    eventually(lambda: not any(map(is_alive, group)))
    if Path("/proc/self/environ").exists():
        eventually(lambda: not is_alive(apart))
    else:
        os.kill(apart, signal.SIGKILL)


# What trials do to their files.


def test_a_trial_that_closes_its_streams_goes_on(bench: Bench) -> None:
    code = (
        "import os, sys, time; os.close(1); os.close(2); os.closerange(3, 256); time.sleep(0.2); os._exit(5)"
    )
    assert bench.run(python_trial("silent", code)).exit_code == 5


def test_a_trial_that_deletes_its_directory_ends_as_it_ends(bench: Bench) -> None:
    trial = make_trial("suicidal", ["/bin/sh", "-c", 'rm -rf "$0"; exit 6', "-"])
    directory = bench.runner.outputs(trial).stdout.parent
    trial.spec.run_spec["spec"]["template"]["spec"]["containers"][0]["command"][3] = str(directory)
    assert bench.run(trial).exit_code == 6
    assert not directory.exists()
    bench.runner.remove(trial)


def test_fifty_megabytes_of_output_are_kept(bench: Bench) -> None:
    trial = python_trial("chatty", "import sys\nfor _ in range(50): sys.stdout.write('x' * 999_999 + '\\n')")
    assert bench.run(trial).exit_code == 0
    assert bench.runner.outputs(trial).stdout.stat().st_size == 50_000_000


def test_directories_are_the_users_own(bench: Bench) -> None:
    trial = make_trial("private", ["true"])
    bench.run(trial)
    output = bench.runner.outputs(trial).stdout
    for path in (output.parent, output.parent.parent, output.parent.parent.parent):
        assert path.stat().st_mode & 0o077 == 0
    assert output.stat().st_mode & 0o077 == 0


# All together.


def test_many_quick_trials_leave_nothing_behind(tmp_path: Path) -> None:
    descriptors = len(os.listdir("/dev/fd"))
    threads = threading.active_count()
    bench = Bench(tmp_path)
    trials = {f"t{number}": make_trial(f"t{number}", ["true"]) for number in range(200)}
    ended = threading.Semaphore(0)
    done: set[str] = set()

    def listen(key: Key) -> None:
        name = key[2]
        if bench.runner.observe(trials[name]).phase is RunPhase.ENDED and name not in done:
            done.add(name)
            ended.release()

    bench.runner.subscribe(listen)
    for number, trial in enumerate(trials.values()):
        if number >= 8:
            assert ended.acquire(timeout=DEADLINE_SECONDS)
        bench.runner.start(trial)
    for _ in range(8):
        assert ended.acquire(timeout=DEADLINE_SECONDS)
    assert all(bench.runner.observe(trial).exit_code == 0 for trial in trials.values())
    for trial in trials.values():
        bench.runner.remove(trial)
    bench.runner.close(stop_runs=True)
    assert len(os.listdir("/dev/fd")) == descriptors
    assert threading.active_count() == threads
    attempts = [Attempt(path.parent) for path in tmp_path.rglob("lock")]
    assert len(attempts) == 200
    assert not any(attempt.is_held() for attempt in attempts)
    assert not any(is_alive(attempt.pid() or 0) for attempt in attempts)


def test_closing_with_runs_ends_all_of_them_within_the_grace_period(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trials = [python_trial(f"t{number}", FORKING, "60") for number in range(4)]
    for trial in trials:
        bench.started(trial)
    for trial in trials:
        bench.said(trial, "ready")
    pids = [pid for trial in trials for pid in pids_in(bench.output(trial))]
    began = time.monotonic()
    bench.runner.close(stop_runs=True)
    assert time.monotonic() - began < 3
    eventually(lambda: not any(map(is_alive, pids)))
    assert [path.name for path in (tmp_path / "runs" / "default").iterdir()] == []


def test_a_trial_waits_with_a_reason_until_the_disk_has_room(tmp_path: Path) -> None:
    disk = FreeDisk(tmp_path, DiskFloor(1 << 62))
    runner = LocalRunner(tmp_path / "runs", clock=SystemClock(), disk=disk)
    trial = make_trial("patient", ["true"])
    try:
        runner.start(trial)
        eventually(lambda: runner.observe(trial).reason == "WaitsForDisk")
        state = runner.observe(trial)
        assert state.phase is RunPhase.WAITING
        assert "must be free on the disk of" in state.message
        disk.floor = DiskFloor(0)
        eventually(lambda: runner.observe(trial).phase is RunPhase.ENDED)
        assert runner.observe(trial).exit_code == 0
    finally:
        runner.close(stop_runs=True)


def test_a_trial_that_waits_for_the_disk_can_be_stopped(tmp_path: Path) -> None:
    runner = LocalRunner(tmp_path / "runs", clock=SystemClock(), disk=FreeDisk(tmp_path, DiskFloor(1 << 62)))
    trial = make_trial("patient", ["true"])
    try:
        runner.start(trial)
        eventually(lambda: runner.observe(trial).reason == "WaitsForDisk")
        runner.stop(trial)
        eventually(lambda: runner.observe(trial).reason == "Stopped")
    finally:
        runner.close(stop_runs=True)
