from __future__ import annotations

import pytest

from katibpy.api.trial import Trial
from katibpy.core.explanation.explain import explain_trial
from katibpy.core.explanation.facts import FailureGroup, TrialFacts
from katibpy.core.explanation.failures import failure_finding
from katibpy.core.explanation.finding import Severity
from katibpy.core.explanation.trial_failure import alike, failure_of, shared_values
from katibpy.core.phases import TrialPhase
from tests.unit.core.explanation.cases import failed, without_metric
from tests.unit.core.views import succeeded, tuned

TRACEBACK = (
    "epoch 1",
    "Traceback (most recent call last):",
    '  File "/home/ada/train.py", line 12, in <module>',
    "    main()",
    '  File "/home/ada/train.py", line 7, in main',
    "    raise ValueError(text)",
)


def sizes(trials: list[Trial]) -> list[int]:
    return [len(group) for group in alike(trials)]


def test_what_the_planner_wrote_is_read_back() -> None:
    trial = failed(tuned(), 0, lines=[*TRACEBACK, "ValueError: bad x"])
    found = failure_of(trial)
    assert found is not None
    assert (found.phase, found.reason) == (TrialPhase.FAILED, "BackoffLimitExceeded")
    assert found.kind == "ProcessFailed"
    assert found.message == "the process ended with exit code 1"
    assert found.lines == (*TRACEBACK, "ValueError: bad x")
    assert found.exception == found.headline == "ValueError: bad x"
    assert found.frame == "train.py:7 in main"
    assert found.tail == (*TRACEBACK[1:], "ValueError: bad x")


def test_a_trial_that_did_not_fail_has_no_failure() -> None:
    assert failure_of(succeeded(tuned(), 0, 0.5)) is None


def test_an_exception_raised_at_one_place_is_one_failure_whatever_its_text() -> None:
    experiment = tuned()
    trials = [failed(experiment, n, lines=[*TRACEBACK, f"ValueError: bad x={n / 7}"]) for n in range(3)]
    elsewhere = [line.replace("line 7", "line 8") for line in TRACEBACK]
    trials.append(failed(experiment, 3, lines=[*elsewhere, "ValueError: bad x=1"]))
    trials.append(failed(experiment, 4, lines=[*TRACEBACK, "KeyError: 'x'"]))
    assert sizes([*trials]) == [3, 1, 1]


def test_numbers_names_and_parameters_do_not_tell_failures_apart() -> None:
    experiment = tuned()
    trials = [
        failed(experiment, n, lines=[f"step {n * 10}: {kind} of tune-{n} at 0x7f{n} failed"], kind=kind)
        for n, kind in enumerate(["adam", "sgd"])
    ]
    names = [trial.metadata.name for trial in trials]
    trials += [failed(experiment, 5 + n, lines=[f"{names[0]} broke"]) for n in range(1)]
    assert sizes([*trials]) == [2, 1]


@pytest.mark.parametrize(
    ("first", "second", "groups"),
    [
        ("the process ended with exit code 1", "the process ended with exit code 2", [1, 1]),
        (
            "the process ended with exit code 1",
            "the process ended with exit code 1; it was tried 3 times",
            [2],
        ),
    ],
)
def test_exit_codes_tell_failures_apart(first: str, second: str, groups: list[int]) -> None:
    experiment = tuned()
    assert sizes([failed(experiment, 0, first), failed(experiment, 1, second)]) == groups


def test_what_a_killed_trial_wrote_last_tells_nothing() -> None:
    experiment = tuned()
    message = "the process was ended by signal SIGKILL (exit code 137)"
    trials = [
        failed(experiment, n, message, reason="ProcessKilled", lines=[f"epoch {'abc'[n]}"]) for n in range(3)
    ]
    assert sizes([*trials]) == [3]


def test_trials_without_the_objective_are_alike() -> None:
    experiment = tuned()
    trials = [without_metric(experiment, n, seen_names=["acc"] * n) for n in range(3)]
    assert sizes([*trials, failed(experiment, 3)]) == [3, 1]


def test_values_that_only_failed_trials_have_are_found() -> None:
    experiment = tuned()
    trials = [failed(experiment, n, penalty="l1", loss="hinge", c=n) for n in range(2)]
    good = [
        {"lr": "0.5", "penalty": "l1", "loss": "squared", "c": "0"},
        {"lr": "0.5", "penalty": "l2", "loss": "hinge", "c": "1"},
    ]
    assert shared_values(trials, good) == {"penalty": "l1", "loss": "hinge"}
    assert shared_values(trials, [*good, {"lr": "0.5", "penalty": "l1", "loss": "hinge", "c": "7"}]) == {}
    assert shared_values(trials, []) == {}
    assert shared_values(trials[:1], good) == {}


def test_a_finding_tells_how_many_fail_alike_and_shows_one() -> None:
    trial = failed(tuned(), 0, lines=[*TRACEBACK, "ValueError: bad x"])
    finding = failure_finding(FailureGroup(3, TrialFacts(trial), {"penalty": "l1"}), 4)
    name = trial.metadata.name
    assert finding.what == f"3 of 4 failed trials, for example {name}: ValueError: bad x"
    assert finding.severity is Severity.PROBLEM
    assert finding.evidence[0] == "the process ended with exit code 1"
    assert finding.evidence[1] == "all of them have penalty=l1, and no trial that succeeded has"
    assert finding.evidence[-1] == "  ValueError: bad x"
    assert "leave these values out" in finding.advice
    assert f"`katib logs {name}`" in finding.advice


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (["ModuleNotFoundError: No module named 'torch.nn'"], "-m pip install torch.nn`"),
        (["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"], "lower the batch size"),
        (["OSError: [Errno 28] No space left on device"], "--keep-trials best"),
        (["usage: x", "x: error: unrecognized arguments: --lr"], "compare the arguments"),
        (
            ["FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'"],
            "trials run in the directory",
        ),
        (["python: can't open file '/x/train.py': [Errno 2]"], "trials run in the directory"),
        (["PermissionError: [Errno 13] Permission denied: '/data'"], "the right to it"),
        (["OSError: [Errno 98] Address already in use"], "cannot share a port"),
        (["SyntaxError: invalid syntax"], "correct the program"),
        (["MemoryError"], "use less memory"),
    ],
)
def test_the_advice_fits_what_the_trial_said(said: list[str], advice: str) -> None:
    trial = failed(tuned(), 0, lines=said)
    (finding,) = explain_trial(TrialFacts(trial), None)
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("reason", "message", "advice"),
    [
        ("OutOfMemory", "it had 3Gi of memory, 2Gi were allowed", "raise resources.limits.memory"),
        (
            "CommandNotFound",
            "'trian' was not found in any directory of PATH",
            "name a program that this machine",
        ),
        ("DeadlineExceeded", "it ran longer than activeDeadlineSeconds (1)", "raise activeDeadlineSeconds"),
        ("ProcessKilled", "the process was ended by signal SIGKILL (exit code 137)", "dmesg"),
        ("ProcessKilled", "the process was ended by signal SIGSEGV (exit code 139)", "native library"),
        (
            "ProcessFailed",
            "the process ended with exit code 127 (a shell ...)",
            "have the script call programs",
        ),
        ("StartFailed", "the working directory /x does not exist; make it", "set workingDir"),
    ],
)
def test_the_advice_fits_how_the_run_ended(reason: str, message: str, advice: str) -> None:
    trial = failed(tuned(), 0, message, reason=reason)
    (finding,) = explain_trial(TrialFacts(trial), None)
    assert finding.kind == reason
    assert message in finding.what
    assert advice in finding.advice


def test_the_interpreter_of_the_trial_is_named() -> None:
    trial = failed(tuned(), 0, lines=["ModuleNotFoundError: No module named 'torch'"])
    container = {"containers": [{"command": ["/opt/env/bin/python3.11", "train.py"]}]}
    trial = trial.but(spec=trial.spec.but(run_spec={"spec": {"template": {"spec": container}}}))
    (finding,) = explain_trial(TrialFacts(trial), None)
    assert "`/opt/env/bin/python3.11 -m pip install torch`" in finding.advice


def test_removed_files_are_told() -> None:
    (finding,) = explain_trial(TrialFacts(failed(tuned(), 0), removed_by="best"), None)
    assert finding.evidence[-1] == "its files were removed after it ended (--keep-trials best)"
