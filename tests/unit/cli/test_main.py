from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from katibpy.cli.main import COMMANDS, katib

HEAVY = {"pydantic", "yaml", "sqlalchemy", "alembic", "grpc", "google", "numpy", "scipy", "optuna", "rich"}


def test_help_imports_none_of_the_parts_that_commands_need() -> None:
    code = (
        "import sys\n"
        "from katibpy.cli.main import katib\n"
        "try:\n"
        "    katib(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "print('MODULES', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, modules = ended.stdout.partition("MODULES")
    assert all(name in text for name in COMMANDS)
    assert not HEAVY & set(modules.split())


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("run", {"numpy", "scipy", "optuna", "alembic"}),
        ("get", {"numpy", "scipy", "optuna", "alembic", "grpc", "google", "rich"}),
    ],
)
def test_a_command_that_is_waited_for_loads_nothing_heavy_that_it_does_not_need(
    name: str, absent: set[str]
) -> None:
    code = (
        "import sys\n"
        f"import {COMMANDS[name].module}\n"
        "import katibpy.stores.sql.opening, katibpy.stores.sql.resources\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & set(ended.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_tells_what_it_does(name: str) -> None:
    command = getattr(importlib.import_module(COMMANDS[name].module), name.replace("-", "_"))
    assert isinstance(command, click.Command)
    assert command.name == name
    ended = CliRunner().invoke(katib, [name, "--help"])
    assert ended.exit_code == 0
    assert max(map(len, ended.stdout.splitlines())) <= 80
    undocumented = [
        parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help and parameter.name != "help"
    ]
    assert not undocumented


def test_an_unknown_command_names_the_nearest_one() -> None:
    ended = CliRunner().invoke(katib, ["algoritms"])
    assert ended.exit_code == 2
    assert "there is no command 'algoritms'; did you mean 'algorithms'?" in ended.stderr


def test_an_unknown_option_is_bad_input() -> None:
    ended = CliRunner().invoke(katib, ["version", "--nope"])
    assert ended.exit_code == 2
    assert "--nope" in ended.stderr


@pytest.mark.parametrize(("arguments", "has_traceback"), [(["breaks"], False), (["-v", "breaks"], True)])
def test_an_unexpected_error_is_one_message_and_a_traceback_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], has_traceback: bool
) -> None:
    @click.command()
    def breaks() -> None:
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr(type(katib), "resolve_command", lambda self, ctx, args: ("breaks", breaks, []))
    ended = CliRunner().invoke(katib, arguments)
    assert ended.exit_code == 1
    assert "error: unexpected ZeroDivisionError: nothing left" in ended.stderr
    assert ("Traceback" in ended.stderr) is has_traceback


def test_version_says_what_is_installed() -> None:
    from katibpy import __version__

    ended = CliRunner().invoke(katib, ["version"])
    assert ended.exit_code == 0
    assert __version__ in ended.stdout
    assert "kubeflow.org/v1beta1" in ended.stdout


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    code = "from katibpy.cli.main import main; main()"
    command = [sys.executable, "-c", code, "algorithms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
