from __future__ import annotations

import io

from rich.console import Console

from katibpy.cli.output_result import print_result
from katibpy.core.explanation.finding import Finding, Severity
from katibpy.display.failures import CommonFailure
from katibpy.testing import builders


def printed(
    *,
    failure: CommonFailure | None = None,
    finding: Finding | None = None,
    options: str = "",
    phase: str = "Succeeded",
) -> str:
    experiment = builders.experiment(namespace="team")
    status = experiment.status.but(conditions=(builders.condition(phase, message="it has ended"),), trials=2)
    console = Console(file=io.StringIO(), width=200, color_system=None, markup=False)
    print_result(console, experiment.but(status=status), failure, finding, options=options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_command_that_shows_a_failed_trial_finds_it() -> None:
    failure = CommonFailure(message="exit code 1", count=1, total=1, example="tune-abc")
    text = printed(failure=failure, options="--state-dir 'my state'", phase="Failed")
    assert "See: katib logs tune-abc -n team --state-dir 'my state'\n" in text


def test_a_finding_takes_the_place_of_the_most_common_failure() -> None:
    failure = CommonFailure(message="exit code 1", count=1, total=1, example="tune-abc")
    finding = Finding("X", Severity.PROBLEM, "it broke", ("a line",), "see `katib logs tune-abc`")
    text = printed(failure=failure, finding=finding, options="--state-dir s", phase="Failed")
    assert text.endswith(
        "PROBLEM  it broke\n"
        "           a line\n"
        "         do: see `katib logs tune-abc -n team --state-dir s`\n"
        "More: katib explain tune -n team --state-dir s\n"
    )
    assert "Most common" not in text


def test_a_success_without_a_best_trial_says_why() -> None:
    assert "No trial is the best: not one reported a finite number for loss\n" in printed()
    assert "No trial is the best" not in printed(phase="Failed")
