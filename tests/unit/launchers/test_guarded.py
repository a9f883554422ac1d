"""Programs of others under a guard: they end with this process, and are started again when they die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from katibpy.core.endpoints import Endpoint
from katibpy.errors import ServiceUnavailable, UnknownName
from katibpy.launchers import guard
from katibpy.launchers.fixed import FixedLauncher
from katibpy.launchers.guarded import Command
from katibpy.launchers.plug_ins import PlugIn, PlugInLauncher, log_name

SERVES = """
import os, signal, socket, subprocess, sys
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[2], "a").write(f"{os.getpid()} {helper.pid}\\n")
print("at work", flush=True)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()
"""
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES


def await_true(condition: Callable[[], bool], seconds: float = 4.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Where nobody collects orphans, a dead one stays visible as a zombie.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.startswith("Z")


def connects(address: str, seconds: float) -> bool:
    host, _, port = address.partition(":")
    try:
        with closing(socket.create_connection((host, int(port)), seconds)):
            return True
    except OSError:
        return False


class Bench:
    """A launcher for algorithm `theirs`, and the processes that its program had."""

    def __init__(self, folder: Path, code: str = SERVES, **how: object) -> None:
        self.notes = folder / "notes"
        self.folder = folder

        def recipe(port: int, *, instance: str) -> Command:
            return Command(
                argv=(sys.executable, "-c", code, str(port), str(self.notes)),
                environment=dict(os.environ),
                afterwards=("/bin/sh", "-c", f"echo {instance} >> {folder}/afterwards"),
            )

        plug_in = PlugIn(recipe=recipe, **how)  # type: ignore[arg-type]
        self.launcher = PlugInLauncher(
            {"theirs": plug_in},
            otherwise=FixedLauncher({"ours": "unix:/ours"}),
            log_directory=folder,
            probe=connects,
        )

    def ask(self, experiment_uid: str = "one") -> Endpoint:
        return self.launcher.endpoint("theirs", timeout_seconds=4, experiment_uid=experiment_uid)

    def processes(self) -> list[int]:
        lines = self.notes.read_text().split() if self.notes.exists() else []
        return [int(word) for word in lines]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(code: str = SERVES, **how: object) -> Bench:
        made.append(Bench(tmp_path, code, **how))
        return made[-1]

    yield make
    for each in made:
        each.launcher.close()


def test_nothing_runs_before_it_is_asked_for(bench: Callable[..., Bench]) -> None:
    one = bench()
    assert one.launcher.endpoint("ours", timeout_seconds=1).address == "unix:/ours"
    with pytest.raises(UnknownName):
        one.launcher.endpoint("nobodys", timeout_seconds=1)
    assert one.processes() == []


def test_each_experiment_has_its_own_unless_it_is_shared(bench: Callable[..., Bench]) -> None:
    apart = bench(call_seconds=3.0)
    first, second = apart.ask("one"), apart.ask("two")
    assert first.address != second.address
    assert first == apart.ask("one")
    assert first.call_seconds == 3.0
    shared = bench(is_shared=True)
    assert shared.ask("one") == shared.ask("two")


def test_its_output_is_kept(bench: Callable[..., Bench], tmp_path: Path) -> None:
    bench().ask("0123456789")
    log = tmp_path / "algorithm-theirs-01234567.log"
    await_true(lambda: log.read_text() == "at work\n")


def test_releasing_an_experiment_ends_its_program_and_helpers_and_no_other(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    one = bench()
    one.ask("one")
    first = one.processes()
    one.ask("two")
    second = one.processes()[2:]
    one.launcher.release("one")
    await_true(lambda: all(map(is_gone, first)))
    assert not any(map(is_gone, second))
    assert len((tmp_path / "afterwards").read_text().split()) == 1


def test_closing_ends_all_even_the_deaf(bench: Callable[..., Bench]) -> None:
    one = bench(DEAF)
    one.ask("one")
    one.ask("two")
    one.launcher.close()
    assert all(map(is_gone, one.processes()))
    with pytest.raises(ServiceUnavailable, match="has been closed"):
        one.ask("one")


def test_one_that_dies_is_started_again_elsewhere_and_its_end_is_told(bench: Callable[..., Bench]) -> None:
    one = bench()
    before = one.ask()
    os.kill(one.processes()[0], signal.SIGKILL)
    await_true(lambda: len(one.processes()) == 4)
    after = one.ask()
    assert after.address != before.address
    assert "it ended with signal 9" in after.note
    assert is_gone(one.processes()[1]), "what it had started goes with it"


def test_a_guard_that_is_killed_leaves_nothing(bench: Callable[..., Bench], tmp_path: Path) -> None:
    one = bench()
    one.ask()
    first = one.processes()
    guard_pid = one.launcher.pid("theirs", "one")
    assert guard_pid is not None
    os.kill(guard_pid, signal.SIGKILL)
    await_true(lambda: len(one.processes()) == 4)
    assert all(map(is_gone, first))
    assert (tmp_path / "afterwards").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit('no module named torch')", r"exit code 1 .*no module named torch"),
        ("import time; time.sleep(600)", "signal 15"),
    ],
    ids=["dies", "does-not-listen"],
)
def test_one_that_does_not_come_up_says_why(bench: Callable[..., Bench], code: str, said: str) -> None:
    one = bench(code, start_timeout_seconds=0.3)
    with pytest.raises(ServiceUnavailable, match=rf"(?s)the service of algorithm theirs .*{said}"):
        one.ask()


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    def recipe(port: int, *, instance: str) -> Command:
        return Command(argv=("/no/such/program",), environment=dict(os.environ))

    launcher = PlugInLauncher(
        {"theirs": PlugIn(recipe=recipe)},
        otherwise=FixedLauncher({}),
        log_directory=tmp_path,
        probe=connects,
    )
    with pytest.raises(ServiceUnavailable, match=r"exit code 127 .*(?s:.)*/no/such/program"):
        launcher.endpoint("theirs", timeout_seconds=4)
    launcher.close()


def test_the_program_ends_when_whoever_started_the_guard_is_killed(tmp_path: Path) -> None:
    notes, parent = tmp_path / "notes", tmp_path / "parent.py"
    parent.write_text(
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', {guard.__file__!r}, '--', sys.executable, '-c', {DEAF!r},"
        f" '0', {str(notes)!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, str(parent)]) as process:
        await_true(lambda: notes.exists() and len(notes.read_text().split()) == 2)
        process.kill()
    await_true(lambda: all(is_gone(int(pid)) for pid in notes.read_text().split()))


def test_logs_have_names_that_every_file_system_takes() -> None:
    assert log_name("my search/2", "abcdefghij") == "algorithm-my_search_2-abcdefgh.log"
    assert log_name("x") == "algorithm-x.log"
