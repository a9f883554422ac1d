from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from katibpy.api.experiment import Experiment
from katibpy.core.records import ObservedValue
from katibpy.errors import NotFound, StateDirectoryLocked, StoreError
from katibpy.stores.state_directory import LOCK_NAME, StateDirectory
from katibpy.testing.store_cases import SteppingClock, add_experiment

CLAIM = """
import pathlib, sys
from katibpy.stores.state_directory import StateDirectory
from katibpy.testing.store_cases import SteppingClock
state = StateDirectory.claim(pathlib.Path(sys.argv[1]), SteppingClock())
print("claimed", flush=True)
sys.stdin.read()
state.close()
"""


def claiming_process(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


def test_a_claimed_folder_is_made_for_its_user_alone_and_keeps_what_is_stored(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / ".katib"
    with StateDirectory.claim(folder, SteppingClock()) as state:
        owner = add_experiment(state.resources)
        state.observations.append("t", [ObservedValue(0, "m", "0.990", 1.0)])
        assert state.path == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with StateDirectory.claim(folder, SteppingClock()) as state:
        assert state.resources.find(Experiment, "default", "tune") == owner
        assert state.observations.read("t")[0].text == "0.990"


def test_a_second_controller_is_told_the_pid_of_the_first_and_what_to_do(tmp_path: Path) -> None:
    with claiming_process(tmp_path) as process:
        pid = process.pid
        words = rf"got a second while process {pid} uses it: wait .* \(kill {pid}\), .*--state-dir"
        with pytest.raises(StateDirectoryLocked, match=words):
            StateDirectory.claim(tmp_path, SteppingClock())
        process.communicate("")
        assert process.returncode == 0
    StateDirectory.claim(tmp_path, SteppingClock()).close()


def test_a_killed_controller_leaves_no_lock(tmp_path: Path) -> None:
    with claiming_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    StateDirectory.claim(tmp_path, SteppingClock()).close()


def test_a_program_that_the_controller_started_does_not_hold_the_lock(tmp_path: Path) -> None:
    state = StateDirectory.claim(tmp_path, SteppingClock())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        state.close()
        StateDirectory.claim(tmp_path, SteppingClock()).close()
        child.communicate()


def test_visitors_read_and_mark_beside_the_controller(tmp_path: Path) -> None:
    with StateDirectory.claim(tmp_path, SteppingClock()) as state:
        add_experiment(state.resources)
        with StateDirectory.visit(tmp_path, SteppingClock()) as visitor:
            assert visitor.resources.delete(Experiment, "default", "tune")
        found = state.resources.find(Experiment, "default", "tune")
        assert found is not None
        assert found.metadata.deletion_timestamp is not None


def test_a_visitor_does_not_create_anything(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing has run there"):
        StateDirectory.visit(tmp_path / "none", SteppingClock())
    with pytest.raises(NotFound, match="there is no database"):
        StateDirectory.visit(tmp_path, SteppingClock())
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.touch()
    with pytest.raises(StoreError, match="must be a folder, got a file"):
        StateDirectory.claim(path, SteppingClock())
    with pytest.raises(StoreError, match=r"cannot be made: Not a directory"):
        StateDirectory.claim(path / "deeper", SteppingClock())


def test_a_folder_with_a_broken_database_is_not_left_locked(tmp_path: Path) -> None:
    (tmp_path / "katib.db").write_text("no database" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match="not an SQLite database"):
            StateDirectory.claim(tmp_path, SteppingClock())


def test_the_lock_file_names_its_holder_only_while_it_is_held(tmp_path: Path) -> None:
    state = StateDirectory.claim(tmp_path, SteppingClock())
    assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"
    state.close()
    state.close()
    assert (tmp_path / LOCK_NAME).read_text() == ""


def test_what_is_made_in_a_folder_that_others_may_read_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "something").touch()
    with StateDirectory.claim(tmp_path, SteppingClock()):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
        made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("katib.*")}
    assert {"katib.db", "katib.lock"} <= set(made)
    assert set(made.values()) == {0o600}


def test_an_empty_folder_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with StateDirectory.claim(tmp_path, SteppingClock()):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
