"""What trials use of memory is counted over all their processes, and said when it is too much."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from katibpy.runners.memory_watch import MemoryWatch, Watched, members_of, used_by

MIB = 2**20
NO_LIMIT = 2**60

FAMILY = """
    import os, subprocess, sys, time
    own = bytearray({own} * 2**20)
    code = "x = bytearray({child} * 2**20); print('up', flush=True); import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session={apart})
    if {forks}:
        if os.fork() == 0:
            time.sleep(60)
    time.sleep(60)
"""


@contextmanager
def family(
    *, own: int = 1, child: int = 1, apart: bool = False, forks: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child, apart in a session of its own or not; sizes in MiB."""
    code = textwrap.dedent(FAMILY).format(own=own, child=child, apart=apart, forks=forks)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process
        finally:
            for each in members_of([process.pid])[process.pid]:
                each.kill()


def used(process: subprocess.Popen[bytes], *, limit: int = NO_LIMIT) -> int:
    return used_by(members_of([process.pid])[process.pid], limit=limit)


@pytest.mark.parametrize("apart", [False, True])
def test_children_count_whatever_session_they_are_in(apart: bool) -> None:
    with family(own=40, child=60, apart=apart) as process:
        assert 100 * MIB <= used(process) < 200 * MIB


ORPHAN = """
    import os, time
    if os.fork() == 0:
        x = bytearray(50 * 2**20)
        print("up", flush=True)
        time.sleep(60)
"""


def test_a_child_whose_parent_is_gone_still_counts() -> None:
    code = textwrap.dedent(ORPHAN)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.wait()
        (orphan,) = members_of([process.pid])[process.pid]
        assert used(process) > 50 * MIB
        orphan.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what is shared")
def test_what_processes_share_counts_once() -> None:
    with family(own=100, forks=True) as process:
        members = members_of([process.pid])[process.pid]
        assert len(members) == 3
        resident = sum(each.memory_info().rss for each in members)
        assert resident > 200 * MIB
        assert used(process, limit=150 * MIB) < 150 * MIB


def test_processes_that_end_meanwhile_count_for_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = [psutil.Process(process.pid)]
        process.kill()
        process.wait()
    assert used_by(found, limit=0) == 0


def test_who_has_too_much_is_told_once_and_the_others_never() -> None:
    watch = MemoryWatch()
    told: list[int] = []
    done = threading.Event()

    def tell(amount: int) -> None:
        told.append(amount)
        done.set()

    with family(own=80) as large, family() as small:
        watch.add(Watched(lambda: small.pid, 1000 * MIB, lambda amount: told.append(-1)))
        watch.add(Watched(lambda: None, 0, lambda amount: told.append(-2)))
        watch.add(Watched(lambda: large.pid, 60 * MIB, tell))
        assert done.wait(10)
        # Another pass, for which nobody is left to be told.
        again = threading.Event()
        watch.add(Watched(lambda: large.pid, 60 * MIB, lambda amount: again.set()))
        assert again.wait(10)
        watch.close()
    assert len(told) == 1
    assert 80 * MIB < told[0] < 200 * MIB


def test_its_thread_lives_only_while_something_is_watched() -> None:
    def is_running() -> bool:
        return any(thread.name == "katib-memory" for thread in threading.enumerate())

    watch = MemoryWatch()
    watched = Watched(os.getpid, NO_LIMIT, lambda amount: None)
    for _ in range(2):
        watch.add(watched)
        assert is_running()
        watch.remove(watched)
        for thread in threading.enumerate():
            if thread.name == "katib-memory":
                thread.join(10)
        assert not is_running()
    watch.close()
    watch.add(watched)
    assert not is_running()
