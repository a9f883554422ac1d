from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.runners.private_paths import Move, PathMover, UnsafePath, file_moves

OWN = Path("/state/t1/metrics")


def moved(text: str, path: str = "/katib/m.log", own: Path = OWN) -> str:
    return PathMover(file_moves(path, own)[1]).move(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("/katib/m.log", "/state/t1/metrics/m.log"),
        ("--log=/katib/m.log", "--log=/state/t1/metrics/m.log"),
        ("--log-dir=/katib", "--log-dir=/state/t1/metrics"),
        ("/katib/", "/state/t1/metrics"),
        ("python t.py >/katib/m.log 2>&1", "python t.py >/state/t1/metrics/m.log 2>&1"),
        (
            "echo loss=1 >> '/katib/m.log'; ls /katib",
            "echo loss=1 >> '/state/t1/metrics/m.log'; ls /state/t1/metrics",
        ),
        ("a:/katib/m.log:b", "a:/state/t1/metrics/m.log:b"),
    ],
)
def test_the_file_and_its_directory_are_moved(text: str, result: str) -> None:
    assert moved(text) == result


@pytest.mark.parametrize(
    "text",
    [
        "/katib/m.log.1",
        "/katib/m.log/x",
        "/katib/other.log",
        "/katib2/m.log",
        "/data/katib/m.log",
        "$HOME/katib/m.log",
        "${ROOT}/katib/m.log",
        "~/katib/m.log",
        "https://host/katib/m.log",
        "katib/m.log",
    ],
)
def test_other_paths_are_left_alone(text: str) -> None:
    assert moved(text) == text


def test_the_root_directory_is_never_moved() -> None:
    assert moved("ls / /m.log", path="/m.log") == "ls / /state/t1/metrics/m.log"


def test_all_below_a_directory_is_moved_with_it() -> None:
    mover = PathMover([Move("/cache", Path("/own/cache"), is_directory=True)])
    assert mover.move("/cache") == "/own/cache"
    assert mover.move("--to=/cache/a/b") == "--to=/own/cache/a/b"
    assert mover.move("/cached /cache.old") == "/cached /cache.old"
    assert mover.used == {"/cache"}


def test_the_longest_path_wins() -> None:
    mover = PathMover(
        [Move("/a", Path("/x"), is_directory=True), Move("/a/b", Path("/y"), is_directory=True)]
    )
    assert mover.move("/a/b/c /a/d") == "/y/c /x/d"


def test_a_path_with_blanks_is_put_only_where_it_stands_alone() -> None:
    own = Path("/my state/t1")
    assert moved("/katib/m.log", own=own) == "/my state/t1/m.log"
    assert moved("--log=/katib/m.log", own=own) == "--log=/my state/t1/m.log"
    with pytest.raises(UnsafePath, match="is named inside a longer text"):
        moved("python t.py > /katib/m.log", own=own)
