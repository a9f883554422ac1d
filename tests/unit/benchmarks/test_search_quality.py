from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "benchmarks" / "search_quality"

PARTS = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, tasks
from report import holm, interval, paired
from task import random_regret, regret
tuning, judging = ({task.name for task in chosen} for chosen in (tasks.tuning(), tasks.judging()))
print(len(tuning & judging), len(tuning) >= 6, len(judging) >= 7)
branin = tasks.named("branin")
print(abs(branin.truth({"x0": np.pi, "x1": 2.275}) - branin.best) < 1e-9)
print(regret(branin, [9.0, branin.best, 5.0], [1.0, 0.5, 0.0], 2), random_regret(branin, 50) > 0.3)
print(holm([0.01, 0.04, 0.03]))
low, high = interval([1.0, 2.0, 3.0])
print(1.0 <= low < 2.0 < high <= 3.0)
seeds = range(12)
print(paired({n: 0.1 * n for n in seeds}, {n: 0.1 * n + 1.0 + n for n in seeds}) < 0.01)
"""


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_tasks_are_apart_and_the_statistics_are_right() -> None:
    shown = _run("-c", PARTS, str(FOLDER)).splitlines()
    assert shown == ["0 True True", "True", "0.0 True", "[0.03, 0.06, 0.06]", "True", "True"]


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    how = ("--out", str(out), "--set", "tuning", "--tasks", "branin", "steps", "--budget", "6")
    run, report = str(FOLDER / "run.py"), str(FOLDER / "report.py")
    _run(run, *how, "--methods", "random", "--seeds", "1")
    first = out.read_text(encoding="utf-8").splitlines()
    _run(run, *how, "--methods", "random", "optuna-random", "grid", "--seeds", "2")
    lines = out.read_text(encoding="utf-8").splitlines()
    assert (len(first), len(lines)) == (2, 8)
    assert lines[:2] == first
    told = _run(report, str(out), "--set", "tuning", "--budget", "6", "--subject", "random")
    assert "2 tasks that all of them ran on" in told
    assert "2 tests, 0 of them significant" in told
