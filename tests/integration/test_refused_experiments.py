"""What an algorithm cannot work with is refused before any trial runs, and before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.integration.cli_process import CommandLine
from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import experiment_text


@dataclass(frozen=True, slots=True)
class Case:
    """An Experiment that is refused.

    Attributes:
        algorithm: its algorithm.
        said: lines of standard error.
        settings: of the algorithm.
        parameters: instead of one double without a step.
    """

    algorithm: str
    said: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    parameters: tuple[dict[str, object], ...] = ()


CASES = {
    "unknown-algorithm": Case(
        "multivariate-tp", ("spec.algorithm.algorithmName must be a known algorithm", "did you mean `multi")
    ),
    "settings": Case(
        "tpe",
        (
            "spec.algorithm.algorithmSettings[0] is refused by tpe: setting n_startup_trials must be",
            "setting n_ei_candidate is not known; did you mean n_EI_candidates",
        ),
        settings=(("n_startup_trials", "many"), ("n_ei_candidate", "24")),
    ),
    "grid-over-a-double": Case(
        "grid", ("spec.parameters[0] is refused by grid: parameter x must have a step for algorithm grid",)
    ),
    "cmaes-over-a-category": Case(
        "cmaes",
        ("spec.algorithm is refused by cmaes: algorithm cmaes needs at least 2 parameters of type double",),
        parameters=(
            {"name": "x", "parameterType": "categorical", "feasibleSpace": {"list": ["0.1", "0.2"]}},
        ),
    ),
}


def written(folder: Path, case: Case) -> Path:
    document = yaml.safe_load(experiment_text(algorithm=case.algorithm))
    spec = document["spec"]
    spec["algorithm"]["algorithmSettings"] = [{"name": name, "value": text} for name, text in case.settings]
    if case.parameters:
        spec["parameters"] = list(case.parameters)
    path = folder / "tune.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.mark.parametrize("name", CASES)
def test_what_an_algorithm_cannot_work_with_is_bad_input(
    name: str, tmp_path: Path, here: CommandHere
) -> None:
    katib, case = CommandLine(tmp_path), CASES[name]
    file = written(tmp_path, case)
    ended = here("run", file, KATIB_CONFIG="")
    assert ended.code == 2, ended
    assert ended.stdout == ""
    for said in case.said:
        assert said in ended.stderr
    assert all(line.startswith(f"{file}:") for line in ended.stderr.splitlines()), "each has its line"
    checked = katib.ask("validate", str(file))
    assert checked.code == 2
    for line in ended.stderr.splitlines():
        assert line in checked.stderr
    (tmp_path / ".katib").mkdir(exist_ok=True)
    assert "tune" not in katib.ask("get", "experiments").stdout


def test_several_experiments_are_refused_at_once_and_none_of_them_runs(tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    texts = [experiment_text(name, algorithm=each) for name, each in (("a", "grid"), ("b", "random"))]
    (tmp_path / "all.yaml").write_text("---\n".join([*texts, experiment_text("c", algorithm="cmaes")]))
    ended = katib("run", "all.yaml")
    assert ended.code == 2
    assert "is refused by grid" in ended.stderr
    assert "is refused by cmaes" in ended.stderr
    listed = katib.ask("get", "experiments")
    assert "no experiments" in listed.stdout + listed.stderr
