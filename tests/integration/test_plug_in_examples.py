"""The plug-ins in the examples: one that is installed, and one in TypeScript that is started by command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from katibpy.api.trial import Trial
from tests.integration.cli_process import CommandLine
from tests.integration.command_here import CommandHere
from tests.integration.katib_command import ROOT

EXAMPLES = ROOT / "examples" / "plugins"
PROTO = ROOT / "proto" / "katibpy" / "pb" / "v1beta1" / "api.proto"
VALLEY = EXAMPLES / "valley.yaml"
NAME = "around-the-best"
PROMISES = (
    "gives-what-is-asked-for",
    "goes-through-a-finite-space-once",
    "same-request-same-reply",
    "names-each-bad-setting",
)
_BUILD_SECONDS = 55
_NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")


def _verdicts(stdout: str) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in json.loads(stdout)["results"]}


def _runs(katib: CommandLine, *words: str | Path, **environment: str) -> None:
    """Runs the example to its end, with fewer trials than it has."""
    file = katib.folder / "valley.yaml"
    file.write_text(VALLEY.read_text().replace("maxTrialCount: 30", "maxTrialCount: 6"))
    ended = katib("run", file, *words, "-o", "json", **environment)
    assert ended.code == 0, ended
    status = json.loads(ended.stdout)["status"]
    assert status["trialsSucceeded"] == 6 or "goal" in status["conditions"][-1]["message"]


def _only(names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--promise", name)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python example as an installer leaves it: the module, and what tells of it."""
    folder = tmp_path_factory.mktemp("installed")
    project = tomllib.loads((EXAMPLES / "python" / "pyproject.toml").read_text())["project"]
    shutil.copy(EXAMPLES / "python" / "around_the_best.py", folder)
    told = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_an_installed_algorithm_is_listed_with_its_settings(installed: Path, tmp_path: Path) -> None:
    shown = CommandLine(tmp_path)("algorithms", NAME, PYTHONPATH=str(installed))
    assert shown.code == 0, shown
    assert shown.stdout.startswith(f"{NAME} (from {NAME}): small steps around the best trials")
    assert "parents   int     3         at least 1" in shown.stdout


def test_an_installed_algorithm_runs_experiments(installed: Path, tmp_path: Path) -> None:
    _runs(CommandLine(tmp_path), PYTHONPATH=str(installed))


def test_an_installed_algorithm_keeps_its_promises(installed: Path, tmp_path: Path) -> None:
    names = (*PROMISES, "same-reply-in-another-process", "finds-better-than-random-search")
    told = CommandLine(tmp_path)("conformance", NAME, *_only(names), "-o", "json", PYTHONPATH=str(installed))
    assert told.code == 0, told
    assert _verdicts(told.stdout) == dict.fromkeys(names, "kept")


def test_its_settings_are_refused_before_any_trial_runs(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(VALLEY.read_text().replace('value: "0.25"', 'value: "2"'))
    katib = CommandLine(tmp_path)
    ended = katib("run", file, PYTHONPATH=str(installed))
    assert ended.code == 2
    assert "setting step must be a number above 0 and at most 1, got '2'" in ended.stderr
    assert "no experiments" in katib.ask("get", "experiments").stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript example with its packages, compiled."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, so the TypeScript plug-in is not tested")
    folder = tmp_path_factory.mktemp("typescript")
    shutil.copytree(
        EXAMPLES / "typescript",
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("node_modules", "dist"),
    )
    for words in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
        ended = subprocess.run(
            ["npm", *words],
            cwd=folder,
            env={**os.environ, "CI": "1"},
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if ended.returncode and any(sign in ended.stderr for sign in _NO_NETWORK):
            pytest.skip(f"the packages of the TypeScript plug-in cannot be fetched: {ended.stderr}")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def test_an_algorithm_in_typescript_runs_experiments(built: Path, tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    _runs(katib, "--config", built / "machine.yaml", KATIB_PROTO=str(PROTO))
    log = tmp_path / ".katib" / "logs" / f"algorithm-{NAME}.log"
    assert f"{NAME} listens at port" in log.read_text()


def test_an_algorithm_in_typescript_keeps_its_promises(built: Path, tmp_path: Path) -> None:
    katib, file = CommandLine(tmp_path), built / "machine.yaml"
    words: tuple[str | Path, ...] = ("--config", file, "--learns", *_only(PROMISES), "-o", "json")
    told = katib("conformance", NAME, *words, KATIB_PROTO=str(PROTO))
    assert told.code == 0, told
    assert _verdicts(told.stdout) == dict.fromkeys(PROMISES, "kept")


def test_its_settings_are_refused_over_the_wire(built: Path, here: CommandHere, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(VALLEY.read_text().replace("{name: step", "{name: stepp"))
    ended = here("run", file, "--config", built / "machine.yaml", KATIB_PROTO=str(PROTO))
    assert ended.code == 2
    assert "the algorithm around-the-best refuses it: there is no setting stepp" in ended.stdout
    with CommandLine(tmp_path).state() as state:
        assert not state.resources.list(Trial).items
