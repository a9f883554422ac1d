from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from katibpy.errors import ServiceError
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.launchers.spare_child import SERVICE_COMMAND, SPARE, SpareChild
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from tests.unit.rpc.parts import Ledger, call, experiment, reaching


@contextmanager
def launched(directory: Path) -> Iterator[tuple[ChildProcessLauncher, GrpcSuggestionGateway]]:
    launcher = ChildProcessLauncher(directory)
    launcher.start()
    gateway = GrpcSuggestionGateway(launcher)
    try:
        yield launcher, gateway
    finally:
        gateway.close()
        launcher.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if shutil.which("ps") is None:
        return True
    # Where nobody collects orphans, a dead one stays visible as a zombie.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not state.stdout.startswith("Z")


def await_true(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come true in {seconds} s"
        time.sleep(0.02)


def test_the_service_listens_on_a_private_socket_and_logs_to_a_file(tmp_path: Path) -> None:
    with launched(tmp_path) as (launcher, gateway):
        assert len(gateway.suggest(call(experiment())).proposals) == 2
        path = Path(launcher.endpoint("random", timeout_seconds=1).address.removeprefix("unix:"))
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "Listening on unix:" in launcher.log_path.read_text(encoding="utf-8")
    assert not path.parent.exists()


PARENT = """
    import subprocess, sys, time
    from pathlib import Path
    from katibpy.launchers.child_process import ChildProcessLauncher

    launcher = ChildProcessLauncher(Path(sys.argv[1]))
    address = launcher.endpoint("random", timeout_seconds=20).address
    # Like a careless trial: it takes over whatever may be inherited.
    trial = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    print(launcher.pid, trial.pid, address, flush=True)
    time.sleep(60)
"""


def test_the_service_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    service, trial, address = parent.stdout.readline().split()
    try:
        assert is_alive(int(service))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        await_true(lambda: not is_alive(int(service)), 2.0)
        # The trial lives on, so it holds no end of the pipe that tells of the parent's death.
        assert is_alive(int(trial))
        assert not Path(address.removeprefix("unix:")).parent.exists()
    finally:
        os.kill(int(trial), signal.SIGKILL)
        parent.stdout.close()


def test_the_service_ends_with_its_input_while_an_algorithm_works(tmp_path: Path) -> None:
    ledger = Ledger()
    for number in range(3000):
        ledger.put(number, loss=str(number))
    address = f"unix:{tmp_path / 's'}"
    with subprocess.Popen(
        [*SERVICE_COMMAND, "--supervised", "--socket", str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        assert service.stdout.readline() == b"listening\n"
        with reaching(address) as gateway, ThreadPoolExecutor(1) as pool:
            gateway.suggest(call(experiment("tpe"), ledger, count=1, seconds=20))
            running = pool.submit(gateway.suggest, call(experiment("tpe"), ledger, count=5000, seconds=50))
            await_true(lambda: len(ledger.reads) == 2, 5)
            service.stdin.close()
            assert service.wait(3) == 0
            assert isinstance(running.exception(10), ServiceError)
    assert not (tmp_path / "s").exists()


def test_a_service_that_was_loaded_beforehand_answers_and_logs_like_another(tmp_path: Path) -> None:
    with SpareChild() as spare:
        launcher = ChildProcessLauncher(tmp_path, spare=spare)
        gateway = GrpcSuggestionGateway(launcher)
        try:
            gateway.validate(experiment(), timeout_seconds=20)
            assert "Listening on unix:" in launcher.log_path.read_text(encoding="utf-8")
        finally:
            gateway.close()
            launcher.close()


def test_a_service_without_a_task_ends_with_its_input() -> None:
    done = subprocess.run([*SERVICE_COMMAND, SPARE], input=b"", capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_service_stops_at_sigterm(tmp_path: Path) -> None:
    with launched(tmp_path) as (launcher, gateway):
        gateway.validate(experiment(), timeout_seconds=20)
        pid = launcher.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        await_true(lambda: launcher.pid not in (pid, None), 10)
        gateway.validate(experiment(), timeout_seconds=20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--address", "0.0.0.0:0"],
            "gRPC without TLS and a token is served on loopback or a Unix socket only",
        ),
        (["--socket", "/no/such/directory/s"], "cannot listen on unix:/no/such/directory/s"),
        (["--socket", "s", "--address", "127.0.0.1:0"], "not allowed with argument"),
    ],
)
def test_an_address_that_cannot_be_served_is_said_without_a_traceback(
    arguments: list[str], said: str
) -> None:
    done = subprocess.run(
        [*SERVICE_COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_random_search_loads_no_other_algorithms_libraries() -> None:
    code = """
        import sys
        from katibpy.algo.hosting import algorithm_named
        from katibpy.app import algorithm_service

        algorithm_named("random")
        print(*sorted({"optuna", "scipy", "sqlalchemy", "sklearn", "torch"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split() == []


def test_thousands_of_trials_make_requests_hardly_slower(tmp_path: Path) -> None:
    ledger = Ledger()
    for number in range(10_000):
        ledger.put(number, loss=str(number))
    of = experiment("tpe", maxTrialCount=20_000)
    with launched(tmp_path) as (_, gateway):
        gateway.suggest(call(of, ledger, count=1, seconds=50))
        ledger.put(10_000, loss="1")
        gateway.suggest(call(of, ledger, count=1, seconds=50))
        assert ledger.reads == [None, "10000"]
        uncounted = experiment(uid="uid-2", maxTrialCount=20_000)
        gateway.suggest(call(uncounted, ledger, count=1))
        began = time.monotonic()
        for _ in range(20):
            gateway.suggest(call(uncounted, ledger, count=1))
        assert (time.monotonic() - began) / 20 < 0.05
        assert ledger.reads == [None, "10000"]
