from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from katibpy import catalog
from katibpy.cli.command_algorithms import describe
from katibpy.cli.main import katib

BROKEN = catalog.Kind("algorithm", "tests.unit.cli.broken_catalog")
"""A catalogue whose only row needs a package that is not installed."""


def test_every_algorithm_is_listed_with_all_its_settings() -> None:
    ended = CliRunner().invoke(katib, ["algorithms"])
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for row in catalog.rows(catalog.ALGORITHMS):
        assert any(line.startswith(f"{row.name}: ") for line in lines)
        for setting in catalog.load(catalog.ALGORITHMS, row.name).Settings.__dataclass_fields__:
            assert any(line.split()[:1] == [setting] for line in lines), setting
    for name in catalog.ALGORITHMS.planned - set(catalog.names(catalog.ALGORITHMS)):
        assert name in ended.stdout


def test_settings_come_with_type_default_bounds_and_other_names() -> None:
    ended = CliRunner().invoke(katib, ["algorithms", "tpe", "-o", "json"])
    shown = json.loads(ended.stdout)
    assert shown["name"] == "tpe"
    by_name = {setting["name"]: setting for setting in shown["settings"]}
    candidates = by_name["n_ei_candidates"]
    assert candidates["type"] == "int"
    assert candidates["default"] == "24"
    assert candidates["minimum"] == 1
    assert candidates["aliases"] == ["n_EI_candidates"]
    assert candidates["help"]


def test_the_json_list_holds_every_algorithm() -> None:
    ended = CliRunner().invoke(katib, ["algorithms", "-o", "json"])
    assert [each["name"] for each in json.loads(ended.stdout)] == list(catalog.names(catalog.ALGORITHMS))


@pytest.mark.parametrize(
    ("name", "said"), [("rando", "did you mean 'random'?"), ("cmaes", "not part of this version yet")]
)
def test_a_name_that_is_not_there_is_bad_input(name: str, said: str) -> None:
    if name in catalog.names(catalog.ALGORITHMS):
        name = "no-such-algorithm"
        said = "there is no algorithm"
    ended = CliRunner().invoke(katib, ["algorithms", name])
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stdout == ""


def test_algorithms_of_the_configuration_are_shown_in_place_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text(
        "suggestions:\n"
        "  - {algorithmName: sobol, image: example/sobol}\n"
        "  - {algorithmName: mine, command: [node, server.js]}\n"
    )
    shown = CliRunner().invoke(katib, ["algorithms", "--config", str(file)]).stdout
    assert "sobol (of the configuration): in the image example/sobol\n" in shown
    assert "mine (of the configuration): started by node server.js\n" in shown
    assert shown.count("\nsobol") == 1
    names = CliRunner().invoke(katib, ["algorithms", "--config", str(file), "-o", "name"]).stdout.split()
    assert names.count("sobol") == names.count("mine") == 1
    one = CliRunner().invoke(katib, ["algorithms", "mine", "-o", "json"], env={"KATIB_CONFIG": str(file)})
    assert json.loads(one.stdout)["source"] == "node server.js"


def test_an_algorithm_that_cannot_be_loaded_says_why() -> None:
    (row,) = catalog.rows(BROKEN)
    described = describe(row, BROKEN)
    assert "no_such_package" in described.problem
    assert "pip install 'katibpy[theirs]'" in described.problem
    assert described.settings == ()
