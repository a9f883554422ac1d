from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from katibpy.runners.gang.plan import GangFailure, GangPlan, Member

DEADLINE_SECONDS = 20.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    seconds: float
    failure: GangFailure | None


@dataclass(frozen=True, slots=True)
class Bench:
    directory: Path

    def member(
        self, name: str, script: str, *, is_primary: bool = False, leads: bool = True, serves: bool = False
    ) -> Member:
        output = None if is_primary else str(self.directory / f"{name}.log")
        environment = {"NAME": name}
        argv = ("/bin/sh", "-c", script)
        return Member(name, argv, environment, str(self.directory), output, leads=leads, serves=serves)

    def start(
        self, *members: Member, grace_seconds: float = 5.0, linger_seconds: float = 5.0
    ) -> subprocess.Popen[str]:
        plan = GangPlan(members, grace_seconds=grace_seconds, linger_seconds=linger_seconds)
        path = plan.save(self.directory)
        assert GangPlan.load(path) == plan
        command = [sys.executable, "-P", "-m", "katibpy.runners.gang.launch", str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, *members: Member, grace_seconds: float = 5.0, linger_seconds: float = 5.0) -> Ended:
        began = time.monotonic()
        process = self.start(*members, grace_seconds=grace_seconds, linger_seconds=linger_seconds)
        output, _ = process.communicate(timeout=DEADLINE_SECONDS)
        seconds = time.monotonic() - began
        return Ended(process.returncode, output, seconds, GangFailure.load(self.directory))

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_all_run_and_each_output_is_where_it_belongs(bench: Bench) -> None:
    ended = bench.run(
        bench.member("first", 'echo "$NAME"; echo more >&2', is_primary=True),
        bench.member("second", 'echo "$NAME"; echo more >&2'),
    )
    assert (ended.code, ended.output, ended.failure) == (0, "first\nmore\n", None)
    assert bench.log("second") == "second\nmore\n"


def test_one_that_fails_ends_the_others(bench: Bench) -> None:
    ended = bench.run(
        bench.member("first", "exec sleep 60", is_primary=True),
        bench.member("second", "echo working; echo ValueError: broken; echo; exit 3"),
    )
    assert ended.code == 3
    assert ended.failure == GangFailure("second", 3, last_line="ValueError: broken")
    assert ended.seconds < 5


def test_one_that_a_signal_ends_has_the_code_of_the_signal(bench: Bench) -> None:
    ended = bench.run(
        bench.member("first", "exec sleep 60", is_primary=True), bench.member("second", "kill -SEGV $$")
    )
    assert ended.code == 128 + signal.SIGSEGV
    assert ended.failure is not None
    assert ended.failure.member == "second"


def test_the_others_may_save_their_work_within_the_grace_period(bench: Bench) -> None:
    script = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done"
    ended = bench.run(
        bench.member("first", script, is_primary=True), bench.member("second", "sleep 0.3; exit 9")
    )
    assert (ended.code, ended.output) == (9, "saved\n")


def test_one_that_does_not_listen_is_killed(bench: Bench) -> None:
    ended = bench.run(
        bench.member("first", "trap '' TERM; while :; do sleep 0.05; done", is_primary=True),
        bench.member("second", "sleep 0.3; exit 9"),
        grace_seconds=0.3,
    )
    assert ended.code == 9
    assert ended.seconds < 5


def test_those_that_only_serve_are_ended_when_the_work_is_done(bench: Bench) -> None:
    ended = bench.run(
        bench.member("chief", "sleep 0.2", is_primary=True),
        bench.member("ps", "exec sleep 60", leads=False, serves=True),
    )
    assert (ended.code, ended.failure) == (0, None)
    assert ended.seconds < 5


def test_those_that_do_not_lead_have_time_to_finish(bench: Bench) -> None:
    ended = bench.run(
        bench.member("master", "true", is_primary=True),
        bench.member("slow", "sleep 0.4; echo done; exit 7", leads=False),
        bench.member("endless", "exec sleep 60", leads=False),
        linger_seconds=1.0,
    )
    assert (ended.code, ended.failure) == (0, None)
    assert bench.log("slow") == "done\n"
    assert 1 < ended.seconds < 5


def test_none_is_left_when_one_cannot_be_started(bench: Bench) -> None:
    missing = Member("second", ("/no/such/program",), {}, str(bench.directory), leads=True)
    ended = bench.run(
        bench.member("first", "exec sleep 60", is_primary=True), missing, bench.member("third", "echo ran")
    )
    assert ended.code == 126
    assert ended.failure is not None
    assert ended.failure.member == "second"
    assert "/no/such/program" in ended.failure.problem
    assert not (bench.directory / "third.log").exists()


def test_a_signal_to_the_group_ends_all_and_blames_none(bench: Bench) -> None:
    script = "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = bench.start(bench.member("first", script), bench.member("second", script))
    names = ("first", "second")
    logs = [bench.directory / f"{name}.log" for name in names]
    eventually(lambda: all(log.exists() and "ready" in log.read_text() for log in logs))
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert [bench.log(name).splitlines()[-1] for name in names] == ["told"] * 2
    assert GangFailure.load(bench.directory) is None


def test_plans_are_for_their_user_alone(bench: Bench) -> None:
    path = GangPlan((bench.member("first", "true"),)).save(bench.directory)
    assert path.stat().st_mode & 0o077 == 0


def test_what_it_inherited_is_handed_on(bench: Bench) -> None:
    # As the attempt's lock is.
    read_end, write_end = os.pipe()
    argv = (sys.executable, "-c", f"import os; os.write({write_end}, b'handed on')")
    path = GangPlan((Member("first", argv, {}, "/", leads=True),)).save(bench.directory)
    command = [sys.executable, "-P", "-m", "katibpy.runners.gang.launch", str(path)]
    with subprocess.Popen(command, pass_fds=(write_end,)) as process:
        os.close(write_end)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
    with open(read_end, encoding="utf-8") as stream:
        assert stream.read() == "handed on"
