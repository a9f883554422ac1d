from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from katibpy.api.source import MAX_BYTES
from katibpy.cli.main import katib
from tests.unit.api.malformed_base import Case
from tests.unit.api.malformed_cases import CASES
from tests.unit.cli.documents import experiment_file, experiment_text

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: shared}
data: {}
"""


def validate(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(katib, ["validate", *map(str, arguments)], input=text)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_broken_rule_is_bad_input_with_file_line_path_rule_and_value(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(case.text, encoding="utf-8")
    ended = validate(file)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    fitting = [
        line
        for line in ended.stderr.splitlines()
        if line.startswith(f"{file}:")
        and f": {case.path} " in line
        and all(part in line for part in case.fragments)
    ]
    assert fitting, ended.stderr


def test_a_valid_file_is_said_to_be_valid(tmp_path: Path) -> None:
    file = experiment_file(tmp_path)
    ended = validate(file)
    assert (ended.exit_code, ended.stdout) == (0, f"{file}: experiment tune is valid\n")
    assert validate(file, "-q").stdout == ""


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    first = experiment_file(tmp_path, "first", parallel=0, maximum=-1)
    second = experiment_file(tmp_path, "second", algorithm="randomm")
    valid = experiment_file(tmp_path, "valid")
    assert "--for any" not in validate(first, valid).stderr
    ended = validate(first, second, valid, tmp_path / "absent.yaml")
    assert ended.exit_code == 2
    places = [line.split(": ")[0].rpartition("/")[2] for line in ended.stderr.splitlines()]
    assert {place.partition(":")[0] for place in places} == {"first.yaml", "second.yaml", "absent.yaml"}
    assert sum(place.startswith("first.yaml") for place in places) >= 2


def test_several_documents_and_standard_input_are_read() -> None:
    ended = validate("-", text=f"{experiment_text('one')}---\n{experiment_text('two')}")
    assert ended.stdout.splitlines() == [
        "standard input: experiment one is valid",
        "standard input: experiment two is valid",
    ]


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = experiment_file(tmp_path), tmp_path / "other.yaml"
    second.write_text(first.read_text())
    ended = validate(first, second)
    assert ended.exit_code == 2
    assert f"{second}:4: metadata.name must be the name of one Experiment, got 'tune'" in ended.stderr
    assert f"{first}:4 has too" in ended.stderr


def test_a_namespace_is_given_to_those_that_have_none(tmp_path: Path) -> None:
    file = experiment_file(tmp_path)
    assert validate(file, "-n", "team-a").exit_code == 0
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("name: tune", "name: tune\n  namespace: team-b"))
    assert validate(other, "-n", "team-b").exit_code == 0
    ended = validate(other, "-n", "team-a")
    assert ended.exit_code == 2
    assert f"{other}:5: metadata.namespace must be 'team-a', as -n asks for, got 'team-b'" in ended.stderr


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "must hold at least one resource"),
        (b"# nothing\n---\n", "must hold at least one resource"),
        (b"\x7fELF\x02\x01\x00\xff\xfe\x00", "must be"),
        (b"\xff\xfe\x00b\x00i\x00n", "must be"),
        (b"kind: [", "must be YAML or JSON"),
        (CONFIG_MAP.encode(), "must hold at least one Experiment, got none"),
        (b"a" * (MAX_BYTES + 1), "must be at most"),
    ],
    ids=["empty", "comment", "binary", "utf-16", "syntax", "no-experiment", "huge"],
)
def test_a_file_that_holds_no_experiment_is_one_clear_line(content: bytes, rule: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_bytes(content)
    ended = validate(file)
    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{file}:")
    assert rule in line
    assert len(line) < 300 + len(str(file))


def test_a_directory_is_one_clear_line(tmp_path: Path) -> None:
    ended = validate(tmp_path)
    assert ended.exit_code == 2
    assert ended.stderr == f"{tmp_path}: must be a file, got a directory; name its files: {tmp_path}/*.yaml\n"


def test_a_missing_file_is_one_clear_line() -> None:
    ended = validate("no/such/file.yaml")
    assert (ended.exit_code, ended.stderr) == (2, "no/such/file.yaml: there is no such file\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_one_clear_line(tmp_path: Path) -> None:
    file = experiment_file(tmp_path)
    file.chmod(0)
    ended = validate(file)
    assert (ended.exit_code, ended.stderr) == (2, f"{file}: cannot be read: Permission denied\n")


def test_a_syntax_error_comes_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("kind: Experiment\nmetadata: {name: x\nspec: 1\n")
    ended = validate(file)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"{file}:3:")


def test_unknown_fields_are_refused_unless_allowed(tmp_path: Path) -> None:
    file = experiment_file(tmp_path, extra="maxTrialsCount: 3\n")
    ended = validate(file)
    assert ended.exit_code == 2
    assert "spec.maxTrialsCount is not a field" in ended.stderr
    assert validate(file, "--allow-unknown").exit_code == 0


def test_what_this_machine_cannot_run_is_refused_only_for_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    conditions = "successCondition: status.done\n    failureCondition: status.broken\n    trialSpec:"
    text = experiment_text().replace("trialSpec:", conditions).replace("batch/v1", "example.com/v1")
    file.write_text(text.replace("kind: Job", "kind: NobodysJob"))
    ended = validate(file)
    assert ended.exit_code == 2
    assert "NobodysJob" in ended.stderr
    assert "katib validate --for any" in ended.stderr
    assert validate(file, "--for", "any").exit_code == 0


def test_a_config_map_in_another_file_serves(tmp_path: Path) -> None:
    template = experiment_text().split("trialSpec:\n")[1]
    lines = [line.removeprefix("      ") for line in template.splitlines()]
    maps = tmp_path / "maps.yaml"
    maps.write_text(
        CONFIG_MAP.replace("data: {}", "data:\n  job.yaml: |\n") + "\n".join(f"    {line}" for line in lines)
    )
    file = tmp_path / "experiment.yaml"
    source = "configMap: {configMapName: shared, configMapNamespace: default, templatePath: job.yaml}\n"
    file.write_text(experiment_text().split("trialSpec:\n")[0] + source)
    ended = validate(file, maps)
    assert ended.exit_code == 0, ended.stderr
    assert f"{file}: experiment tune is valid" in ended.stdout
    alone = validate(file)
    assert alone.exit_code == 2
    assert "spec.trialTemplate.configMap" in alone.stderr
