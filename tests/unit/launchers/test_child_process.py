from __future__ import annotations

import itertools
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from katibpy.errors import ServiceUnavailable, UnknownName
from katibpy.launchers.child_process import ChildProcessLauncher

LISTENS = "import sys; print('listening', flush=True); sys.stdin.read()"
DIES = "import sys; print('no such thing: libtpe', file=sys.stderr); sys.exit(3)"

Start = Callable[..., ChildProcessLauncher]


def running(code: str) -> Sequence[str]:
    return (sys.executable, "-c", code)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    launchers: list[ChildProcessLauncher] = []

    def make(code: str, **options: Any) -> ChildProcessLauncher:
        launcher = ChildProcessLauncher(tmp_path / "logs", command=running(code), **options)
        launchers.append(launcher)
        return launcher

    yield make
    for launcher in launchers:
        launcher.close()


def socket_path(launcher: ChildProcessLauncher) -> Path:
    endpoint = launcher.endpoint("random", timeout_seconds=4)
    return Path(endpoint.address.removeprefix("unix:"))


def await_true(condition: Callable[[], bool], seconds: float = 4.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_starting_does_not_wait(start: Start) -> None:
    launcher = start("import time; time.sleep(60)")
    began = time.monotonic()
    launcher.start()
    launcher.start()
    assert time.monotonic() - began < 0.2


def test_the_socket_lies_in_a_private_directory_with_a_short_path(start: Start) -> None:
    path = socket_path(start(LISTENS))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(os.fsencode(path)) < 100


def test_the_path_stays_short_under_a_long_temporary_directory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert len(os.fsencode(socket_path(start(LISTENS)))) < 100


def test_an_unknown_algorithm_starts_nothing(start: Start) -> None:
    launcher = start(LISTENS)
    with pytest.raises(UnknownName, match="did you mean 'random'"):
        launcher.endpoint("rndom", timeout_seconds=4)
    assert launcher.pid is None


def test_a_child_that_does_not_listen_in_time_is_unavailable(start: Start) -> None:
    launcher = start("import time; time.sleep(60)")
    with pytest.raises(ServiceUnavailable, match=r"does not listen after 0\.3 s"):
        launcher.endpoint("random", timeout_seconds=0.3)


def test_a_child_that_hangs_at_its_start_is_killed_and_tried_again(start: Start) -> None:
    launcher = start("import time; time.sleep(60)", start_timeout_seconds=0.2)
    with pytest.raises(ServiceUnavailable, match="signal 9"):
        launcher.endpoint("random", timeout_seconds=4)


def test_a_child_that_keeps_dying_says_its_last_words(start: Start) -> None:
    launcher = start(DIES)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable, match=r"(?s)exit code 3 .*no such thing: libtpe"):
        launcher.endpoint("random", timeout_seconds=60)
    assert time.monotonic() - began < 4
    assert launcher.log_path.read_text().count("no such thing: libtpe") >= 3


def test_a_command_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    launcher = ChildProcessLauncher(tmp_path, command=["/no/such/python"])
    with pytest.raises(ServiceUnavailable, match=r"cannot be started.*/no/such/python"):
        launcher.endpoint("random", timeout_seconds=4)
    launcher.close()


def test_a_child_that_dies_is_started_again_at_a_new_socket(start: Start) -> None:
    launcher = start(LISTENS)
    paths = [socket_path(launcher)]
    for _ in range(3):
        first = launcher.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await_true(lambda first=first: launcher.pid not in (first, None))  # type: ignore[misc]
        paths.append(socket_path(launcher))
    assert len(set(paths)) == 4


def test_restarts_come_at_growing_distances(start: Start, tmp_path: Path) -> None:
    births = tmp_path / "births"
    launcher = start(
        f"import time; open({str(births)!r}, 'a').write(f'{{time.time()}} '); raise SystemExit(1)"
    )
    launcher.start()
    await_true(lambda: births.exists() and len(births.read_text().split()) >= 5)
    times = [float(text) for text in births.read_text().split()]
    distances = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert distances[3] > distances[1]
    assert distances[3] >= 0.4


def test_closing_ends_child_thread_and_directory(start: Start) -> None:
    launcher = start(LISTENS)
    directory = socket_path(launcher).parent
    pid = launcher.pid
    assert pid is not None
    launcher.close()
    launcher.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not directory.exists()
    assert "algorithm-service" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ServiceUnavailable, match="has been closed"):
        launcher.endpoint("random", timeout_seconds=1)


def test_a_child_that_ignores_the_signal_is_killed(start: Start) -> None:
    launcher = start(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('listening', flush=True); time.sleep(60)"
    )
    socket_path(launcher)
    pid = launcher.pid
    assert pid is not None
    launcher.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_closing_before_anything_was_started_is_fine(tmp_path: Path) -> None:
    ChildProcessLauncher(tmp_path).close()


def test_an_interrupt_of_the_terminal_does_not_reach_the_child(start: Start) -> None:
    launcher = start(LISTENS)
    socket_path(launcher)
    pid = launcher.pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgrp()


def test_a_long_log_is_put_aside(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "algorithm-service.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (6 * 1024 * 1024))
    launcher = start(LISTENS)
    socket_path(launcher)
    assert log.stat().st_size < 1000
    assert log.with_suffix(".log.1").stat().st_size == 6 * 1024 * 1024
