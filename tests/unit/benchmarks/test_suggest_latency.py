from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "suggest_latency.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_request_is_measured_beside_the_library_and_beside_the_wire() -> None:
    ran = _run("--algorithms", "cmaes", "asha", "--trials", "20", "--repeats", "2")
    assert ran.returncode == 0, ran.stderr
    with_peer, without = (json.loads(line) for line in ran.stdout.splitlines())
    assert (with_peer["algorithm"], with_peer["trials"]) == ("cmaes", 20)
    ratio = with_peer["request_milliseconds"] / with_peer["library_milliseconds"]
    assert abs(with_peer["ratio"] / ratio - 1) < 0.1
    assert without["algorithm"] == "asha"
    assert "ratio" not in without
    assert all(_is_consistent(line) for line in (with_peer, without))


def test_an_unknown_algorithm_is_refused_before_anything_is_measured() -> None:
    ran = _run("--algorithms", "simulated-annealing")
    assert ran.returncode != 0
    assert "no algorithm simulated-annealing; there are " in ran.stderr


def _is_consistent(line: dict[str, Any]) -> bool:
    within = line["request_milliseconds"] <= line["allowed_milliseconds"] + 0.01
    return line["is_met"] in (True, False) and (within or not line["is_met"])
