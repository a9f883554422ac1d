from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from katibpy.errors import ServiceUnavailable
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.launchers.spare_child import SpareChild

# Does what the algorithm service does with its input, as far as launchers see.
PROGRAM = """
import json, os, sys
spare = sys.argv[1:] == ["--spare"]
task = json.loads(sys.stdin.readline() or "null") if spare else {"arguments": sys.argv[1:]}
if task is None:
    sys.exit(0)
if spare:
    os.dup2(os.open(task["log"], os.O_WRONLY | os.O_APPEND), 2)
print("spare" if spare else "late", *task["arguments"], file=sys.stderr, flush=True)
print("listening", flush=True)
sys.stdin.read()
"""
COMMAND = (sys.executable, "-c", PROGRAM)


@pytest.fixture
def spare() -> Iterator[SpareChild]:
    with SpareChild(COMMAND) as child:
        yield child


def served(launcher: ChildProcessLauncher) -> str:
    """What the service said when it began."""
    try:
        launcher.endpoint("random", timeout_seconds=4)
    finally:
        launcher.close()
    return launcher.log_path.read_text(encoding="utf-8")


def test_the_first_service_is_the_spare_child_and_logs_where_the_others_do(
    tmp_path: Path, spare: SpareChild
) -> None:
    said = served(ChildProcessLauncher(tmp_path, command=COMMAND, spare=spare))
    assert said.startswith("spare --supervised --socket /")
    assert said.count("\n") == 1


def test_a_spare_child_that_has_died_is_replaced(tmp_path: Path, spare: SpareChild) -> None:
    assert spare._process is not None
    os.kill(spare._process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, spare._process.pid, os.WEXITED | os.WNOWAIT)
    said = served(ChildProcessLauncher(tmp_path, command=COMMAND, spare=spare))
    assert "late --supervised --socket /" in said


def test_a_spare_child_is_taken_once(tmp_path: Path, spare: SpareChild) -> None:
    assert served(ChildProcessLauncher(tmp_path, command=COMMAND, spare=spare)).startswith("spare")
    assert spare.take(("x",), log=tmp_path / "log") is None
    spare.close()


def test_closing_ends_a_child_that_nobody_took() -> None:
    spare = SpareChild(COMMAND)
    process = spare._process
    assert process is not None
    spare.close()
    assert process.returncode == -signal.SIGKILL
    assert spare.take((), log=Path("log")) is None


def test_a_spare_child_ends_when_its_parent_does(spare: SpareChild) -> None:
    process = spare._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(4) == 0
    process.stdin = None


def test_a_program_that_cannot_be_started_is_told_by_the_launcher(tmp_path: Path) -> None:
    command = (str(tmp_path / "missing"),)
    with SpareChild(command) as spare:
        launcher = ChildProcessLauncher(tmp_path, command=command, spare=spare)
        with pytest.raises(ServiceUnavailable, match="it cannot be started"):
            served(launcher)
