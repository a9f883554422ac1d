"""Tuning in a notebook: progress, failures in the lines of a cell, and the same again in another kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FUNCTION = """
from katibpy import KatibClient, search
offset = 0
def helper(x):
    # a comment in the cell
    return 1 / (offset + x)
def objective(parameters):
    return helper(parameters["x"])
client = KatibClient()
"""
TUNE = """
client.tune("cells", objective=objective, parameters={"x": search.discrete([%s])}, objective_metric_name="y",
            algorithm_name="grid", parallel_trial_count=1)
client.wait_for_experiment_condition("cells").status.trials_succeeded
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    return tmp_path


def executed(folder: Path, *cells: str) -> list[Any]:
    """The outputs of all cells, executed in a kernel of their own."""
    make: Any = nbformat.v4  # it has types for some of its functions
    notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=40, allow_errors=True, resources=resources).execute()
    return [output for cell in notebook.cells for output in cell.outputs]


def test_a_cell_shows_progress_and_the_same_cell_in_another_kernel_goes_on(folder: Path) -> None:
    begun, shown, result = executed(folder, FUNCTION, TUNE % "1, 2")
    assert begun.text == "experiment cells: grid, trials, 1 at a time\n"
    assert shown.data["text/plain"].startswith("cells 2 trials ")
    assert "best     y 1.0 by cells-" in shown.data["text/plain"]
    assert result.data["text/plain"] == "2"
    # Cells have other file names in each kernel, and line numbers change as people write.
    again, _, result = executed(folder, "\n\n" + FUNCTION, TUNE % "1, 2")
    assert again.text == "experiment cells ended before: grid, trials, 1 at a time\n"
    assert result.data["text/plain"] == "2"


def test_a_failing_function_shows_the_lines_of_its_cell(folder: Path) -> None:
    *_, error = executed(folder, FUNCTION, TUNE % "0")
    assert (error.output_type, error.ename) == ("error", "ExperimentFailed")
    assert "line 7, in objective\n    return helper(parameters" in error.evalue
    assert "line 5, in helper\n    return 1 / (offset + x)" in error.evalue
    assert error.evalue.endswith("ZeroDivisionError: division by zero")
