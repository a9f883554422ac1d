"""What the README shows of the Python client is what it does, in a script and in a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.integration.katib_command import ROOT

CODE, PRINTED = re.findall(
    r"^```(?:python)?\n(.*?)^```",
    (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .partition("## Tune from Python")[2]
    .partition("\n## ")[0],
    re.DOTALL | re.MULTILINE,
)
ENVIRONMENT = {
    # Trials run at the same time; with a thread for each core they would be in each other's way.
    "OMP_NUM_THREADS": "1",
}


def test_the_example_has_eight_lines() -> None:
    assert len(CODE.splitlines()) == 8


def test_the_readme_example_as_a_script(tmp_path: Path) -> None:
    script = tmp_path / "tune_svc.py"
    script.write_text(CODE, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, PRINTED, "")


def test_the_readme_example_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter")}
    for name, value in (ENVIRONMENT | folders).items():
        monkeypatch.setenv(name, value)
    # A cell for the function, one for the rest: as people write it.
    # The best trial is one of the first two, so that two print the same as all.
    fewer = re.sub(r"max_trial_count=\d+", "max_trial_count=2", CODE)
    head, rest = re.split(r"(?=^client, space)", fewer, maxsplit=1, flags=re.MULTILINE)
    make: Any = nbformat.v4  # it has types for some of its functions
    notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in (head, rest)])
    NotebookClient(notebook, timeout=50, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    printed = [output.text for output in outputs if output.get("name") == "stdout"]
    assert printed == [PRINTED]
    shown = [output.data["text/plain"] for output in outputs if output.output_type == "display_data"]
    assert len(shown) == 1, "progress is one output that is redrawn"
    assert "2/2" in shown[0]
    assert "succeeded" in shown[0]
