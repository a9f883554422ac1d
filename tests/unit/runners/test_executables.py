from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from katibpy.runners.executables import CommandNotFound, find_executable, search_path_of


def program(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def find(command: str, tmp_path: Path, search_path: str = "") -> str:
    return find_executable(command, search_path=search_path, working_directory=tmp_path)


def test_the_first_directory_of_the_path_wins(tmp_path: Path) -> None:
    first, second = (program(tmp_path / name / "tool") for name in ("one", "two"))
    assert find("tool", tmp_path, f"{first.parent}:{second.parent}") == str(first)


def test_what_cannot_be_run_is_passed_by_and_told_if_nothing_better_is_there(tmp_path: Path) -> None:
    bad = program(tmp_path / "one" / "tool", mode=0o644)
    good = program(tmp_path / "two" / "tool")
    (tmp_path / "three" / "tool").mkdir(parents=True)
    path = f"{tmp_path / 'three'}:{bad.parent}"
    assert find("tool", tmp_path, f"{path}:{good.parent}") == str(good)
    with pytest.raises(CommandNotFound) as caught:
        find("tool", tmp_path, path)
    assert f"{bad} is not executable" in str(caught.value)
    assert path in str(caught.value)


def test_a_command_with_a_slash_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    tool = program(tmp_path / "bin" / "tool")
    assert find("./bin/tool", tmp_path) == str(tool)


def test_an_absolute_command_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find("/bin/sh", tmp_path) == "/bin/sh"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/no/such/python3\n", "/no/such/python3"),
        ("#!/bin/sh\r\n", "Windows line ends"),
        ("#!\n", "names no interpreter"),
    ],
)
def test_a_script_without_an_interpreter_is_told(tmp_path: Path, text: str, said: str) -> None:
    program(tmp_path / "script", text)
    with pytest.raises(CommandNotFound, match="script") as caught:
        find("./script", tmp_path)
    assert said in str(caught.value)


def test_an_empty_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandNotFound, match="must not be empty"):
        find("", tmp_path, "/bin")


def test_an_empty_path_entry_means_the_working_directory(tmp_path: Path) -> None:
    tool = program(tmp_path / "tool")
    assert os.path.realpath(find("tool", tmp_path, "/nowhere:")) == str(tool.resolve())


def test_the_interpreter_of_this_program_is_on_every_path() -> None:
    own = os.path.dirname(sys.executable)
    assert own in search_path_of({"PATH": "/usr/bin"}).split(":")
    assert search_path_of({"PATH": f"/a:{own}:/b"}) == f"/a:{own}:/b"
    assert own in search_path_of({}).split(":")


def test_an_activated_environment_comes_before_the_one_of_this_program() -> None:
    own = os.path.dirname(sys.executable)
    assert (
        search_path_of({"PATH": "/venv/bin:/usr/bin", "VIRTUAL_ENV": "/venv"}) == f"/venv/bin:/usr/bin:{own}"
    )
