"""The claims of a machine: seen by all programs, gone with the last process that holds them."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from katibpy.errors import RunnerError
from katibpy.runners.slot_claims import Claim
from katibpy.runners.slot_table import SILENT_SECONDS, Place, SlotTable


def claim(trial: str = "t", **fields: object) -> Claim:
    return Claim(number=0, trial=trial, pid=os.getpid(), user="me", gpus=1, devices=("d0",), **fields)  # type: ignore[arg-type]


def names(table: SlotTable) -> list[str]:
    with table.locked() as locked:
        return [each.trial for each in locked.claims()]


def add(table: SlotTable, made: Claim) -> Place:
    with table.locked() as locked:
        return locked.add(made)[0]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


@pytest.fixture
def table(tmp_path: Path) -> SlotTable:
    return SlotTable(tmp_path / "deep" / "slots")


def test_claims_come_in_the_order_in_which_they_were_made(table: SlotTable) -> None:
    places = [add(table, claim(name)) for name in "bac"]
    with SlotTable(table.directory).locked() as locked:
        assert [(each.number, each.trial) for each in locked.claims()] == [(1, "b"), (2, "a"), (3, "c")]
    places[1].close(is_over=True)
    assert names(table) == ["b", "c"]
    places.append(add(table, claim("d")))
    with table.locked() as locked:
        assert [each.number for each in locked.claims()] == [1, 3, 4]
    for place in (places[0], *places[2:]):
        place.close(is_over=True)
    assert os.listdir(table.directory) == []


def test_what_is_written_is_what_everybody_reads(table: SlotTable) -> None:
    long = claim("x" * 5000, cpu=1, memory=2, cpu_mask=2**200)
    with table.locked() as locked:
        place, made = locked.add(long)
        # Shorter than before: nothing of the old text may be left.
        locked.write(place, claim("y").granted(["d1"]))
        assert [each.trial for each in locked.claims()] == ["y"]
    assert made.number == 1
    with SlotTable(table.directory).locked() as locked:
        assert locked.claims() == (claim("y").granted(["d1"]),)
    place.close(is_over=True)


def test_a_claim_lasts_as_long_as_any_process_that_inherited_it(table: SlotTable) -> None:
    place = add(table, claim().granted(["d0"]))
    child = subprocess.Popen(["sleep", "60"], pass_fds=(place.descriptor,))
    place.close(is_over=False)
    assert names(table) == ["t"]
    child.kill()
    child.wait()
    assert names(table) == []
    assert os.listdir(table.directory) == []


def test_a_claim_can_be_ended_whoever_inherited_it(table: SlotTable) -> None:
    place = add(table, claim().granted(["d0"]))
    with subprocess.Popen(["sleep", "60"], pass_fds=(place.descriptor,)) as child:
        place.close(is_over=True)
        assert names(table) == []
        child.kill()


KILLED = """
import os, sys, time
from pathlib import Path
from katibpy.runners.slot_claims import Claim
from katibpy.runners.slot_table import SlotTable
with SlotTable(Path(sys.argv[1])).locked() as table:
    table.add(Claim(number=0, trial="doomed", pid=1, user="me", gpus=1, devices=("d0",), is_granted=True))
    if sys.argv[2] == "inside":
        print("ready", flush=True)
        time.sleep(60)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("moment", ["inside", "outside"])
def test_a_program_that_is_killed_leaves_nothing_locked_and_nothing_claimed(
    table: SlotTable, moment: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(table.directory), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        if moment == "outside":
            assert names(table) == ["doomed"]
        program.send_signal(signal.SIGKILL)
    assert names(table) == []


def test_a_waiting_claim_of_a_program_that_sleeps_is_passed_over(table: SlotTable) -> None:
    waiting, granted = add(table, claim("waiting")), add(table, claim("granted", is_granted=True))
    long_ago = time.time() - SILENT_SECONDS - 1
    for place in (waiting, granted):
        os.utime(place.path, (long_ago, long_ago))
    assert names(table) == ["granted"]
    waiting.touch()
    assert names(table) == ["waiting", "granted"]
    for place in (waiting, granted):
        place.close(is_over=True)


def test_files_that_are_no_claims_do_no_harm(table: SlotTable) -> None:
    add(table, claim()).close(is_over=True)
    (table.directory / "notes.txt").write_text("hello")
    (table.directory / "zz.claim").write_text("not held by anybody")
    (table.directory / "loop.claim").symlink_to("loop.claim")
    os.mkfifo(table.directory / "pipe.claim")
    place = add(table, claim("real"))
    garbage = os.open(table.directory / "000000000009-x.claim", os.O_RDWR | os.O_CREAT)
    fcntl.flock(garbage, fcntl.LOCK_EX)
    os.write(garbage, b'{"number": "9"')
    assert names(table) == ["real"]
    os.close(garbage)
    place.close(is_over=True)


def test_everybody_may_put_claims_there_and_nobody_take_away_those_of_others(table: SlotTable) -> None:
    place = add(table, claim())
    assert stat.S_IMODE(table.directory.stat().st_mode) == 0o1777
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o644
    place.close(is_over=True)


def test_claims_can_be_read_by_others_whatever_the_umask(table: SlotTable) -> None:
    names(table)
    before = os.umask(0o077)
    try:
        place = add(table, claim())
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o644
    place.close(is_over=True)


def test_a_directory_that_anybody_can_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(RunnerError, match=r"anybody can remove what others put into it: .* mode 1777"):
        names(SlotTable(tmp_path / "open"))


@pytest.mark.parametrize("kind", ["file", "link", "below a file"])
def test_what_is_no_directory_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "slots"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("")
    with pytest.raises(RunnerError, match=r"what trials take of this machine is noted in .*KATIB_SLOT_DIR"):
        names(SlotTable(path / "slots" if kind == "below a file" else path))


def test_a_program_that_keeps_it_locked_is_not_waited_for_for_ever(table: SlotTable) -> None:
    with table.locked(), pytest.raises(RunnerError, match=r"another program keeps .* locked"):
        names(SlotTable(table.directory, patience_seconds=0.05))


def test_a_directory_that_was_replaced_is_found_again(table: SlotTable) -> None:
    add(table, claim()).close(is_over=True)
    with table.locked():
        table.directory.rename(table.directory.with_name("away"))
        # The lock that is held is that of the old one.
        assert names(SlotTable(table.directory)) == []
    assert names(table) == []


def test_the_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KATIB_SLOT_DIR", str(tmp_path))
    assert SlotTable().directory == tmp_path
    monkeypatch.setenv("KATIB_SLOT_DIR", "")
    assert SlotTable().directory == Path("/tmp/katibpy-slots")
