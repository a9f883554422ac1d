"""Where control groups may be made, and what is read from them.

The trees are ordinary directories with the files that the kernel would show; what the kernel itself does with
a limit needs a host that delegates memory.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from katibpy.runners.cgroups import MemoryGroup, MemoryGroups, delegated_parent, memory_groups


def group(path: Path, controllers: str) -> Path:
    path.mkdir(parents=True)
    (path / "cgroup.procs").write_text("")
    (path / "cgroup.subtree_control").write_text(controllers + "\n")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Path]:
    top = group(tmp_path / "top", "cpu memory pids")
    user = group(top / "user", "memory pids")
    app = group(user / "app", "cpu memory")
    return {"top": top, "user": user, "app": app, "scope": group(app / "katib.scope", "")}


@pytest.mark.skipif(os.geteuid() == 0, reason="root owns everything, and goes by other marks")
def test_the_nearest_group_of_ones_own_that_hands_memory_on_is_taken(tree: dict[str, Path]) -> None:
    assert delegated_parent(tree["scope"], tree["top"]) == tree["app"]
    (tree["app"] / "cgroup.subtree_control").write_text("cpu\n")
    assert delegated_parent(tree["scope"], tree["top"]) == tree["user"]
    tree["user"].chmod(0o555)
    tree["top"].chmod(0o555)
    assert delegated_parent(tree["scope"], tree["top"]) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write where it owns nothing")
def test_root_takes_the_top_of_a_container_and_what_is_marked_as_delegated(tree: dict[str, Path]) -> None:
    assert delegated_parent(tree["scope"], tree["top"]) is None
    (tree["top"] / "cgroup.type").write_text("domain\n")
    assert delegated_parent(tree["scope"], tree["top"]) == tree["top"]


def test_groups_above_the_top_are_not_looked_at(tree: dict[str, Path]) -> None:
    assert delegated_parent(tree["scope"], tree["scope"]) is None


def test_a_group_gets_its_limit_and_no_swap(tree: dict[str, Path]) -> None:
    made = MemoryGroups(tree["app"]).make("x", limit=1 << 20)
    assert made.path == tree["app"] / "katibpy-x"
    assert (made.path / "memory.max").read_text() == "1048576"
    assert (made.path / "memory.swap.max").read_text() == "0"
    assert MemoryGroups(tree["app"]).make("x", limit=1 << 20) == made


def test_a_command_enters_the_group_and_stays_what_it_was(tree: dict[str, Path]) -> None:
    made = MemoryGroups(tree["app"]).make("x", limit=1 << 20)
    command = made.entering(["/bin/sh", "-c", 'printf "%s|" "$@"', "name", "a b", "'$x", ""])
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.communicate()[0] == b"a b|'$x||"
    assert (made.path / "cgroup.procs").read_text() == f"{process.pid}\n"


def test_a_command_that_cannot_enter_does_not_run(tree: dict[str, Path]) -> None:
    command = MemoryGroup(tree["app"] / "gone").entering(["/bin/sh", "-c", "echo ran"])
    found = subprocess.run(command, capture_output=True, check=False)
    assert (found.returncode, found.stdout) == (126, b"")


def test_kills_and_peak_are_read(tree: dict[str, Path]) -> None:
    made = MemoryGroups(tree["app"]).make("x", limit=1 << 20)
    assert (made.kills(), made.peak()) == (0, None)
    (made.path / "memory.events").write_text("low 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n")
    (made.path / "memory.peak").write_text("1048576\n")
    assert (made.kills(), made.peak()) == (2, 1 << 20)


def test_a_group_is_taken_away(tree: dict[str, Path]) -> None:
    made = MemoryGroup(tree["app"] / "katibpy-y")
    made.path.mkdir()
    for _ in range(2):
        made.remove()
        assert not made.path.exists()


def test_a_host_without_delegation_has_no_groups_and_none_are_left_behind() -> None:
    groups = memory_groups()
    assert groups is None or groups.works()
