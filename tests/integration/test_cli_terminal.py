from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import experiment_file

COLUMNS = 80
_COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|4[0-9]|9[0-7]|38|48)[0-9;]*m")
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Runs `katib` on a terminal of 80 columns; its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    settings = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    code = "from katibpy.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=folder,
        env=inherited | settings,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:
        pass  # Linux ends a terminal so when nobody is left on its other side
    finally:
        os.close(ours)
    return process.wait(timeout=30), written.decode()


@pytest.fixture
def file(tmp_path: Path) -> str:
    command = "echo loss=$X; sleep 0.6\ncase $X in 0.3*) echo $X >&2; exit 3;; esac"
    return experiment_file(tmp_path, command=command, maximum=5, max_failed=5).name


def widest(text: str) -> int:
    return max(len(line) for line in re.split(r"[\r\n]+", _ESCAPE.sub("", text)))


def test_a_run_on_a_terminal_draws_a_live_display_within_its_width(tmp_path: Path, file: str) -> None:
    code, written = on_a_terminal(tmp_path, "run", file)
    assert code == 0, written
    plain = _ESCAPE.sub("", written)
    assert re.search(r"tune [━╸╺]+ \d/5 \d+s", plain)
    assert re.search(r"running  tune-\w{8} +\ds +loss 0\.\d+", plain)
    assert "│ Best trial      │ tune-" in plain
    assert "[1/5]" not in plain
    assert widest(written) <= COLUMNS
    assert _COLOUR.search(written)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["no-colour", "dumb"])
def test_colours_are_left_out_where_they_are_not_wanted(
    tmp_path: Path, file: str, environment: dict[str, str]
) -> None:
    code, written = on_a_terminal(tmp_path, "run", file, **environment)
    assert code == 0, written
    assert not _COLOUR.search(written)
    assert ("[1/5]" in written) is ("TERM" in environment)


def test_tables_are_cut_to_the_terminal(tmp_path: Path, here: CommandHere) -> None:
    name = experiment_file(tmp_path, "a-rather-long-name", maximum=2, max_failed=2).name
    assert here("run", name, "-q").code == 0
    for arguments in (
        ("get", "trials"),
        ("get", "exp"),
        ("algorithms",),
        ("run", "--help"),
        ("get", "--help"),
    ):
        code, written = on_a_terminal(tmp_path, *arguments)
        assert code == 0
        assert widest(written) <= COLUMNS, (arguments, written)


def test_deleting_asks_on_a_terminal(tmp_path: Path, here: CommandHere) -> None:
    name = experiment_file(tmp_path, maximum=1, parallel=1, max_failed=1).name
    assert here("run", name, "-q").code == 0
    ours, theirs = pty.openpty()
    code = "from katibpy.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", code, "delete", "experiment", "tune"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    asked = b""
    while not asked.rstrip().endswith(b"[y/N]:"):
        asked += os.read(ours, 1024)
    assert b"Delete experiment tune with 1 trial?" in asked
    os.write(ours, b"n\n")
    assert process.wait(timeout=30) == 1
    os.close(ours)
    assert here("get", "exp", "-o", "name").stdout.strip() == "experiment.kubeflow.org/tune"
