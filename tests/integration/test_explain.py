"""`katib explain` of experiments that really went wrong, and that its advice helps."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.codec import load_documents
from katibpy.api.experiment import Experiment
from katibpy.api.status_conditions import find_condition
from katibpy.api.suggestion import Suggestion
from katibpy.app.admission import admit
from katibpy.app.local import LocalEngine
from katibpy.app.state import State
from katibpy.core.phases import TrialPhase, trial_phase
from tests.integration.cli_process import CommandLine, has_running_trials
from tests.integration.command_here import CommandHere
from tests.integration.process_table import algorithm_services
from tests.unit.cli.documents import experiment_file, experiment_text

KATIB = Path(sys.executable).with_name("katib")
WAITS = "echo loss=$X\nwhile [ ! -e go ]; do sleep 0.1; done"


@pytest.fixture
def katib(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def findings(katib: CommandLine, *words: str) -> list[dict[str, Any]]:
    told = katib.ask("explain", *words, "-o", "json")
    assert told.code == 0, told
    found: list[dict[str, Any]] = json.loads(told.stdout)["findings"]
    return found


def one(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (finding,) = [each for each in found if each["kind"] == kind]
    return finding


def shell(katib: CommandLine, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user would copy it."""
    path = f"{KATIB.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=katib.folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


# Trials that fail.


def test_the_traceback_that_all_failures_share_is_told(katib: CommandLine, here: CommandHere) -> None:
    (katib.folder / "train.py").write_text("import sys\nraise ValueError(f'bad {sys.argv[1]}')\n")
    command = f"{sys.executable} train.py $X"
    assert here("run", experiment_file(katib.folder, command=command, max_failed=3, maximum=5)).code == 1
    first, second = findings(katib, "tune")
    assert re.match(r"3 of 3 failed trials, for example tune-\w+: ValueError: bad 0\.\d+$", first["what"])
    assert first["evidence"][0] == "the process ended with exit code 1"
    assert any("train.py" in line and "line 2" in line for line in first["evidence"])
    assert second["kind"] == "MaxFailedReached"


def test_failures_of_some_parameter_values_are_told_by_these(katib: CommandLine, here: CommandHere) -> None:
    text = experiment_text(
        command="case $X in b) echo no b >&2; exit 3;; esac; echo loss=1",
        algorithm="grid",
        maximum=9,
        max_failed=9,
    )
    text = text.replace("  seed: 1\n", "")
    text = text.replace(
        'parameterType: double\n      feasibleSpace:\n        min: "0.1"\n        max: "0.9"',
        "parameterType: categorical\n      feasibleSpace:\n        list: [a, b, c]\n"
        "    - name: y\n      parameterType: int\n      feasibleSpace: {min: '1', max: '2'}",
    )
    text = text.replace(
        "- name: x\n        reference: x",
        "- name: x\n        reference: x\n      - name: y\n        reference: y",
    )
    text += " " * 18 + "- name: Y\n" + " " * 20 + 'value: "${trialParameters.y}"\n'
    (katib.folder / "tune.yaml").write_text(text)
    ended = here("run", "tune.yaml", "-q")
    assert ended.code == 0, ended
    result, failure = findings(katib, "tune")
    assert result["kind"] == "SearchExhausted"
    assert failure["severity"] == "note"
    assert failure["what"].startswith("2 of 2 failed trials")
    assert "all of them have x=b, and no trial that succeeded has" in failure["evidence"]


def test_a_suggested_filter_makes_the_experiment_succeed(katib: CommandLine, here: CommandHere) -> None:
    text = experiment_text(command='echo "epoch 1: loss: $X (best)"')
    (katib.folder / "tune.yaml").write_text(text)
    assert here("run", "tune.yaml").code == 1
    finding = one(findings(katib, "tune"), "MetricsUnavailable")
    assert re.match(r"line 1: epoch 1: loss: 0\.\d+ \(best\)$", finding["evidence"][0])
    filters = re.search(r"metricsFormat: (\[.*\])$", finding["advice"])
    assert filters is not None
    mended = text.replace(
        "parallelTrialCount",
        f"metricsCollectorSpec:\n    source:\n      filter:\n        metricsFormat: {filters[1]}\n"
        "  parallelTrialCount",
    )
    (katib.folder / "tune.yaml").write_text(mended)
    ended = here("run", "tune.yaml", "--replace")
    assert ended.code == 0, ended


def test_a_metric_by_another_name_is_found(katib: CommandLine, here: CommandHere) -> None:
    assert here("run", experiment_file(katib.folder, command="echo val_loss=$X epoch=1")).code == 1
    finding = one(findings(katib, "tune"), "MetricsUnavailable")
    assert "the trial reports 'val_loss' instead" in finding["what"]
    assert "metrics that did appear: val_loss, epoch" in finding["evidence"]


def test_a_program_that_is_missing_is_named_with_the_state_directory_in_the_advice(
    katib: CommandLine,
    here: CommandHere,
) -> None:
    file = experiment_file(katib.folder, command="no-such-program $X")
    ended = here("run", file, "--state-dir", "elsewhere")
    assert ended.code == 1
    assert "PROBLEM  2 of 2 failed trials" in ended.stdout
    assert "have the script call programs that this machine has" in ended.stdout
    (trial,) = re.findall(r"`katib logs (\S+) --state-dir elsewhere`", ended.stdout)
    assert ended.stdout.endswith("More: katib explain tune --state-dir elsewhere\n")
    logs = shell(katib, f"katib logs {trial} --state-dir elsewhere")
    assert "no-such-program" in logs.stdout


def test_a_refusal_by_the_algorithm_is_told(katib: CommandLine) -> None:
    file = experiment_file(katib.folder, algorithm="grid")
    with LocalEngine(katib.folder / ".katib", working_directory=katib.folder) as engine:
        # Stored without having been asked for, as by a program.
        engine.submit(admit(load_documents(file.read_text(encoding="utf-8")))[0])
        engine.start()
        assert engine.wait(30)
    (finding,) = findings(katib, "tune")
    assert finding["kind"] == "AlgorithmRefused"
    assert finding["what"].startswith("the algorithm grid refuses it: parameter x must have a step")


# Experiments that nobody runs.


def test_after_a_kill_the_command_that_goes_on_is_told_and_works(katib: CommandLine) -> None:
    file = experiment_file(katib.folder, command=WAITS)
    with katib.start("run", file, "-q", "--keep-trials", "best") as running:
        katib.wait(has_running_trials(2))
        running.signal(signal.SIGKILL)
        running.end()
    (finding,) = findings(katib, "tune")
    assert finding["kind"] == "NotRunning"
    assert "processes of 2 trials are alive; the next run takes them over as they are" in finding["evidence"]
    command = re.search(r"`(.*)`", finding["advice"])
    assert command is not None
    assert f"katib run -q --keep-trials best {file}" in command[1]
    of_trial = findings(katib, "trial", first_trial(katib))
    assert [each["kind"] for each in of_trial] == ["NotRunning"]
    (katib.folder / "go").touch()
    resumed = shell(katib, command[1])
    assert resumed.returncode == 0, resumed
    assert findings(katib, "tune")[0]["kind"] == "MaxTrialsReached"


def test_an_interruption_is_told_and_a_run_of_something_else_does_not_count(katib: CommandLine) -> None:
    file = experiment_file(katib.folder, command="sleep 60")
    with katib.start("run", file) as running:
        katib.wait(has_running_trials(1))
        running.signal(signal.SIGINT)
        assert running.end().code == 130
    (finding,) = findings(katib, "tune")
    assert finding["kind"] == "NotRunning"
    assert re.match(r"it was interrupted \d+s ago", finding["evidence"][0])
    (katib.folder / "other.yaml").write_text(experiment_text("other", command=WAITS))
    with katib.start("run", "other.yaml", "-q") as running:
        katib.wait(has_running_trials(1, "other"))
        (finding,) = findings(katib, "tune")
        assert "was not given this one" in finding["what"]
        assert f"wait for pid {running.process.pid} or end it" in finding["advice"]
        (at_work,) = findings(katib, "other")
        assert at_work["kind"] == "Running"
        (katib.folder / "go").touch()
        assert running.end().code == 0


def test_without_its_file_an_experiment_goes_on_by_what_is_stored(katib: CommandLine) -> None:
    (admitted,) = admit(load_documents(experiment_text(command="echo loss=$X")))
    with LocalEngine(katib.folder / ".katib", working_directory=katib.folder) as engine:
        engine.submit(admitted)
    told = subprocess.run(
        [KATIB, "explain", "tune"], cwd=katib.folder, capture_output=True, text=True, timeout=50, check=True
    )
    command = re.search(r"`(katib get .*)`", told.stdout)
    assert command is not None
    assert command[1].startswith("katib get experiment tune -o yaml --state-dir .katib | katib run -")
    resumed = shell(katib, command[1])
    assert resumed.returncode == 0, resumed
    assert katib.experiment().status.trials_succeeded == 4


# Experiments that wait.


def test_a_trial_that_waits_for_cpus_says_who_has_them(katib: CommandLine) -> None:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = experiment_text(command=WAITS)
    need = f"image: none\n{' ' * 16}resources: {{requests: {{cpu: '{cpus}'}}}}"
    (katib.folder / "tune.yaml").write_text(text.replace("image: none", need))
    with katib.start("run", "tune.yaml", "-q") as running:
        katib.wait(lambda state: is_told(state, "waits: it needs"))
        finding = one(findings(katib, "tune"), "WaitsForCPU")
        assert finding["severity"] == "waiting"
        assert f"it needs {cpus} cpu" in finding["what"]
        running.signal(signal.SIGINT)
        running.end()


def test_a_trial_that_waits_for_the_disk_says_so_and_runs_when_it_may(
    katib: CommandLine, here: CommandHere
) -> None:
    file = experiment_file(katib.folder)
    with katib.start("run", file, "-q", "--min-free-disk", "100%") as running:
        katib.wait(lambda state: is_told(state, "must be free on the disk of"))
        with katib.state() as state:
            trials = state.resources.active_trials(uid_of(state))
            assert {trial_phase(trial.status.conditions) for trial in trials} == {TrialPhase.PENDING}
            told = [each.message for trial in trials for each in trial.status.conditions]
            assert any(re.search(r"waits: .*must be free on the disk of", message) for message in told)
        finding = one(findings(katib, "tune"), "WaitsForDisk")
        assert finding["what"].startswith("2 trials wait for ")
        (of_trial,) = findings(katib, first_trial(katib))
        assert of_trial["kind"] == "WaitsForDisk"
        running.signal(signal.SIGINT)
        assert running.end().code == 130
    assert here("run", file).code == 0


def test_a_service_that_dies_again_and_again_is_told_with_its_error(katib: CommandLine) -> None:
    file = experiment_file(katib.folder)
    with katib.start("run", file, "-q") as running, killing_services(running.process.pid):
        katib.wait(has_failing_service)
        finding = one(findings(katib, "tune"), "AlgorithmServiceFailing")
        assert finding["what"].startswith("the algorithm service has given no usable answer for ")
        assert "the algorithm service gave no usable answer (" in finding["evidence"][0]
        assert "algorithm-service.log" in finding["advice"]
        running.signal(signal.SIGINT)
        running.end()


@contextmanager
def killing_services(parent: int) -> Iterator[None]:
    """Kills every algorithm service that a process starts."""
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.is_set():
            for pid in algorithm_services(parent):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def has_failing_service(state: State) -> bool:
    suggestion = state.resources.find(Suggestion, "default", "tune")
    ready = find_condition(suggestion.status.conditions, "DeploymentReady") if suggestion else None
    return ready is not None and ready.reason == "DeploymentNotReady"


def is_told(state: State, words: str) -> bool:
    return any(
        words in condition.message
        for trial in state.resources.active_trials(uid_of(state))
        for condition in trial.status.conditions
    )


def uid_of(state: State) -> str:
    found = state.resources.find(Experiment, "default", "tune")
    return "" if found is None else found.metadata.uid or ""


def first_trial(katib: CommandLine) -> str:
    listed = katib.ask("get", "trials", "-e", "tune", "-o", "name").stdout.split()
    return listed[0].rpartition("/")[2]


# The command itself.


def test_names_are_taken_as_they_are_printed(katib: CommandLine, here: CommandHere) -> None:
    assert here("run", experiment_file(katib.folder, maximum=2)).code == 0
    name = first_trial(katib)
    by_word = katib.ask("explain", "trial", name).stdout
    assert by_word.startswith(f"trial {name}: Succeeded")
    assert katib.ask("explain", name).stdout == by_word
    assert katib.ask("explain", f"trial.kubeflow.org/{name}").stdout == by_word
    assert katib.ask("explain", "experiment", "tune").stdout == katib.ask("explain", "tune").stdout
    both = json.loads(katib.ask("explain", f"trial/{name}", f"trial/{name}", "-o", "json").stdout)
    assert both["kind"] == "Trial"


def test_a_name_that_is_not_there_is_told_with_the_nearest(katib: CommandLine, here: CommandHere) -> None:
    assert here("run", experiment_file(katib.folder, maximum=1, parallel=1, max_failed=1)).code == 0
    told = katib.ask("explain", "tunes")
    assert told.code == 2
    assert "there is no experiment 'tunes' in namespace 'default'; did you mean 'tune'?" in told.stderr
    assert katib.ask("explain", "suggestion", "tune").code == 2
