"""Trials that misbehave, on a real runner with real processes."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runner_bench import (
    FORKING,
    Bench,
    eventually,
    is_alive,
    job_condition,
    make_trial,
    pids_in,
    python_trial,
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close(stop_runs=True)


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
