from __future__ import annotations

import csv
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from katibpy import KatibClient
from katibpy.api.codec import load_documents
from katibpy.api.experiment import Experiment
from katibpy.app.local import LocalEngine
from katibpy.cli.main import katib
from tests.integration.cli_process import CommandLine, Ended, has_running_trials
from tests.integration.command_here import AlgorithmAddress, CommandHere
from tests.unit.cli.documents import experiment_file, experiment_text

SAYS_MORE = """\
printf '\\033[31mred\\033[0m\\n' >&2
for step in 1 2 3; do echo "loss=0.$step other=$step"; done
case $X in 0.[1-4]*) echo no luck >&2; exit 3;; esac
echo loss=$X other=nan
"""
WAITS = "echo loss=$X\nwhile [ ! -e go ]; do sleep 0.1; done\necho done"
"""A trial that runs until there is a file called `go`."""

Ask: TypeAlias = Callable[..., Result]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, algorithms: AlgorithmAddress) -> Path:
    """A state directory with `tune`, which has good and bad trials, and `labelled` in namespace `team`."""
    folder = tmp_path_factory.mktemp("ran")
    here = CommandHere(folder, algorithms)
    first = experiment_text("tune", command=SAYS_MORE, maximum=6, max_failed=6).replace(
        "objectiveMetricName: loss", "objectiveMetricName: loss\n    additionalMetricNames: [other]"
    )
    second = experiment_text("labelled", maximum=1, parallel=1, max_failed=1).replace(
        "name: labelled", "name: labelled\n  namespace: team\n  labels: {tier: gold}"
    )
    (folder / "both.yaml").write_text(f"{first}---\n{second}")
    ended = here("run", "both.yaml", "-q")
    assert ended.code == 0, ended
    return folder / ".katib"


@pytest.fixture
def ask(ran: Path) -> Ask:
    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(katib, arguments, env={"KATIB_STATE_DIR": str(ran)})

    return ask


def names_of(listed: Result) -> list[str]:
    assert listed.exit_code == 0, listed.output
    return [line.rpartition("/")[2] for line in listed.stdout.splitlines()]


def trial_in(ask: Ask, phase: str) -> str:
    rows = [line.split() for line in ask("get", "trials").stdout.splitlines()]
    return next(row[0] for row in rows if row[1] == phase)


def test_experiments_are_listed_with_phase_counts_and_best_value(ask: Ask) -> None:
    listed = ask("get", "experiments")
    assert listed.exit_code == 0, listed.output
    head, row = listed.stdout.splitlines()
    assert head.split() == ["NAME", "PHASE", "TRIALS", "FAILED", "BEST", "AGE"]
    name, phase, trials, failed, best, _ = row.split()
    assert (name, phase, trials) == ("tune", "Succeeded", "6/6")
    assert 0 < int(failed) < 6
    assert best.startswith("loss=0.1")


def test_trials_are_listed_with_objective_and_parameters(ask: Ask) -> None:
    head, *rows = ask("get", "trials", "-e", "tune").stdout.splitlines()
    assert head.split() == ["NAME", "PHASE", "OBJECTIVE", "PARAMETERS", "TIME"]
    assert len(rows) == 6
    assert {row.split()[1] for row in rows} == {"Succeeded", "Failed"}
    assert all(re.search(r"x=0\.\d+", row) for row in rows)
    wide = ask("get", "trials", "-o", "wide").stdout
    assert "OTHER METRICS" in wide
    assert "exit code 3" in wide


def test_suggestions_are_listed_with_what_was_asked_and_given(ask: Ask) -> None:
    head, row = ask("get", "suggestions").stdout.splitlines()
    assert head.split() == ["NAME", "PHASE", "ALGORITHM", "REQUESTED", "ASSIGNED", "AGE"]
    assert row.split()[:5] == ["tune", "Succeeded", "random", "6", "6"]


@pytest.mark.parametrize(
    "word", ["experiment", "experiments", "exp", "Experiment", "experiments.kubeflow.org"]
)
def test_kinds_have_several_words(ask: Ask, word: str) -> None:
    assert names_of(ask("get", word, "-o", "name")) == ["tune"]


def test_a_printed_name_can_be_handed_back(ask: Ask) -> None:
    printed = ask("get", "trials", "-e", "experiment/tune", "-o", "name").stdout.split()
    assert len(printed) == 6
    assert all(name.startswith("trial.kubeflow.org/tune-") for name in printed)
    assert names_of(ask("get", *printed, "-o", "name")) == [name.rpartition("/")[2] for name in printed]
    assert ask("describe", printed[0]).exit_code == 0
    assert ask("logs", printed[0]).exit_code == 0
    mixed = ask("get", printed[0], "experiment/tune")
    assert mixed.exit_code == 2
    assert "must be of one kind" in mixed.stderr


def test_namespaces_and_labels_choose(ask: Ask) -> None:
    assert names_of(ask("get", "exp", "-n", "team", "-o", "name")) == ["labelled"]
    assert names_of(ask("get", "exp", "-A", "-o", "name")) == ["tune", "labelled"]
    assert "team" in ask("get", "exp", "-A").stdout
    assert names_of(ask("get", "exp", "-A", "-l", "tier=gold", "-o", "name")) == ["labelled"]
    assert names_of(ask("get", "exp", "-A", "-l", "tier=gold,tier=silver", "-o", "name")) == []
    assert len(names_of(ask("get", "trials", "-A", "-l", "tier==gold", "-o", "name"))) == 1
    assert len(names_of(ask("get", "trials", "-A", "-e", "labelled", "-o", "name"))) == 1
    assert ask("get", "exp", "-l", "tier!=gold").exit_code == 2
    nothing = ask("get", "trials", "-n", "nowhere")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (
        0,
        "",
        "no trials in namespace 'nowhere'\n",
    )


def test_json_and_yaml_hold_the_same_resources(ask: Ask) -> None:
    as_json = ask("get", "experiments", "tune", "-o", "json").stdout
    as_yaml = ask("get", "experiments", "tune", "-o", "yaml").stdout
    (one,), (two,) = load_documents(as_json), load_documents(as_yaml)
    assert one.resource == two.resource
    listed = json.loads(ask("get", "trials", "-o", "json").stdout)
    assert listed["kind"] == "List"
    assert len(listed["items"]) == 6
    assert len(load_documents(ask("get", "trials", "-o", "yaml").stdout)) == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "exp", "tun"), "there is no experiment 'tun' in namespace 'default'; did you mean 'tune'?"),
        (("describe", "exp", "labelled"), "there is one in namespace 'team': add -n team"),
        (
            ("logs", "tune-nothing"),
            "there is no trial 'tune-nothing' in namespace 'default'; `katib get",
        ),
        (("metrics", "x", "-n", "nowhere"), "there are no trials at all"),
        (("get", "trials", "-e", "other"), "there is no experiment 'other'"),
        (("get", "podz"), "must be experiments, trials or suggestions, got 'podz'"),
        (("describe", "trial"), "must name at least one trial"),
        (("delete", "suggestion", "tune"), "a suggestion is deleted with its experiment"),
        (("delete", "trial", "nothing"), "there is no trial 'nothing'"),
        (("get", "exp", "tune", "-A"), "give -n instead of -A"),
    ],
)
def test_what_is_not_there_is_bad_input(ask: Ask, arguments: tuple[str, ...], said: str) -> None:
    ended = ask(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_an_experiment_is_described(ask: Ask) -> None:
    described = ask("describe", "experiment", "tune")
    assert described.exit_code == 0, described.output
    text = described.stdout
    assert "\x1b" not in text
    for pattern in (
        r"^Phase: +Succeeded$",
        r"^  Metric: +loss$",
        r"^  Also collected: +other$",
        r"^  Max trials: +6$",
        r"^  x +double +0\.1 to 0\.9 +uniform$",
        r"^  Succeeded +True +ExperimentMaxTrialsReached +20\d\d-",
        r"^  Succeeded: +Experiment has succeeded because max trial count has reached$",
        r"^Best trial:$",
        r"^  tune-\w{8} +x=0\.\d+ +no luck$",
    ):
        assert re.search(pattern, text, re.MULTILINE), (pattern, text)


def test_a_failed_trial_is_described_with_its_output(ask: Ask) -> None:
    text = ask("describe", "trial", trial_in(ask, "Failed")).stdout
    assert "\x1b" not in text
    for pattern in (
        r"^Experiment: +tune$",
        r"^Phase: +Failed$",
        r"^Output: +/.*output\.log$",
        r"^  x: +0\.\d+$",
        r"^  Failed: +Trial has failed\. Job message: .*exit code 3",
        r"^ +red$",
        r"^ +no luck$",
    ):
        assert re.search(pattern, text, re.MULTILINE), (pattern, text)


def test_a_succeeded_trial_is_described_with_its_metrics(ask: Ask) -> None:
    text = ask("describe", "trial", trial_in(ask, "Succeeded")).stdout
    assert re.search(r"^  METRIC +VALUE +MIN +MAX +LATEST$", text, re.MULTILINE)
    assert re.search(r"^  other +1 +1 +3 +nan$", text, re.MULTILINE), text


def test_a_suggestion_is_described(ask: Ask) -> None:
    text = ask("describe", "suggestion", "tune").stdout
    for pattern in (r"^Requested: +6$", r"^Assigned: +6$", r"^  Name: +random$", r"^  tune-\w{8} +x=0\.\d+$"):
        assert re.search(pattern, text, re.MULTILINE), (pattern, text)


def test_logs_are_the_bytes_that_the_trial_wrote(ask: Ask) -> None:
    name = trial_in(ask, "Failed")
    written = b"\x1b[31mred\x1b[0m\nloss=0.1 other=1\nloss=0.2 other=2\nloss=0.3 other=3\nno luck\n"
    assert ask("logs", name).stdout_bytes == written
    assert ask("logs", name, "-f").stdout_bytes == written
    assert ask("logs", name, "--tail", "2").stdout_bytes == b"loss=0.3 other=3\nno luck\n"
    assert ask("logs", name, "--tail", "5").stdout_bytes == written
    assert ask("logs", name, "--tail", "99").stdout_bytes == written
    assert ask("logs", name, "--tail", "0").stdout_bytes == b""


def test_metrics_are_the_values_as_they_were_written(ask: Ask) -> None:
    name = trial_in(ask, "Succeeded")
    head, *rows = ask("metrics", name).stdout.splitlines()
    assert head.split() == ["METRIC", "STEP", "TIME", "VALUE"]
    assert len(rows) == 8
    values = json.loads(ask("metrics", name, "-m", "other", "-o", "json").stdout)
    assert [each["value"] for each in values] == ["1", "2", "3", "nan"]
    assert all(each["name"] == "other" and each["time"].endswith("Z") for each in values)
    table = list(csv.DictReader(io.StringIO(ask("metrics", name, "-o", "csv").stdout)))
    assert [each["value"] for each in table if each["name"] == "other"] == ["1", "2", "3", "nan"]
    wrong = ask("metrics", name, "-m", "accuracy")
    assert wrong.exit_code == 2
    assert "it reported loss, other" in wrong.stderr


@pytest.mark.parametrize("arguments", ["get exp", "describe exp x", "metrics x"])
def test_without_a_state_directory_it_says_what_to_do(tmp_path: Path, arguments: str) -> None:
    has_no_state_directory(tmp_path, CommandLine(tmp_path)(*arguments.split()))


@pytest.mark.parametrize("arguments", ["logs x", "delete exp x"])
def test_nor_does_it_do_without_one_here(tmp_path: Path, here: CommandHere, arguments: str) -> None:
    has_no_state_directory(tmp_path, here(*arguments.split()))


def has_no_state_directory(folder: Path, ended: Ended) -> None:
    assert (ended.code, ended.stdout) == (2, "")
    said = "no state directory .katib here: run `katib run FILE` first or give --state-dir"
    assert ended.stderr == f"error: {said}\n"
    assert not (folder / ".katib").exists()


def test_deleting_without_a_run_removes_all_that_belongs_to_it(tmp_path: Path, here: CommandHere) -> None:
    line = CommandLine(tmp_path)
    assert here("run", experiment_file(tmp_path), "-q").code == 0
    first, *others = line.ask("get", "trials", "-o", "name").stdout.split()
    deleted = line("delete", first)
    assert (deleted.code, deleted.stdout) == (0, f"trial {first.rpartition('/')[2]} deleted\n"), deleted
    assert line.ask("get", "trials", "-o", "name").stdout.split() == others
    assert line.ask("logs", first).code == 2
    assert here("delete", "experiment", "tune", "--yes").stdout == "experiment tune deleted\n"
    for kind in ("experiments", "trials", "suggestions"):
        assert line.ask("get", kind, "-o", "name").stdout == ""
    assert here("delete", "experiment", "tune").code == 2


def test_deleting_beside_a_run_stops_what_runs(tmp_path: Path, here: CommandHere) -> None:
    line = CommandLine(tmp_path)
    with line.start("run", experiment_file(tmp_path, command=WAITS)) as running:
        line.wait(has_running_trials(2))
        trial = line.ask("get", "trials", "-o", "name").stdout.split()[0]
        assert "loss=" in line.ask("logs", trial).stdout
        assert here("delete", trial).code == 0
        assert trial not in line.ask("get", "trials", "-o", "name").stdout.split()
        deleted = line("delete", "experiment", "tune")
        assert (deleted.code, deleted.stdout) == (0, "experiment tune deleted\n")
        ended = running.end()
    assert (ended.code, ended.stdout) == (1, "")
    assert "experiment tune was deleted while it ran" in ended.stderr


@contextmanager
def held_for_a_moment(state_directory: Path) -> Iterator[None]:
    """Another user of the state directory, who ends it without having removed what was marked."""
    engine = LocalEngine(state_directory)
    resources, ending = engine.resources, threading.Event()

    def hold() -> None:
        end = time.monotonic() + 30
        while not ending.is_set() and time.monotonic() < end:
            found = resources.find(Experiment, "default", "tune")
            if found is not None and found.metadata.deletion_timestamp is not None:
                break
            time.sleep(0.02)
        engine.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        ending.set()
        holder.join()


def test_what_is_deleted_beside_a_program_that_ends_is_removed_all_the_same(
    tmp_path: Path, here: CommandHere
) -> None:
    assert here("run", experiment_file(tmp_path), "-q").code == 0
    with held_for_a_moment(tmp_path / ".katib"):
        deleted = here("delete", "experiment", "tune")
    assert (deleted.code, deleted.stdout) == (0, "experiment tune deleted\n"), deleted
    assert here("run", experiment_file(tmp_path), "-q").code == 0
    with KatibClient(state_dir=tmp_path / ".katib") as client, held_for_a_moment(tmp_path / ".katib"):
        client.delete_experiment("tune")
        assert client.list_experiments() == []


def test_logs_are_followed_until_the_trial_ends(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    file = experiment_file(tmp_path, command=WAITS, parallel=1, maximum=1, max_failed=1)
    with line.start("run", file) as running:
        line.wait(has_running_trials(1))
        trial = line.ask("get", "trials", "-o", "name").stdout.strip()
        with line.start("logs", trial, "-f") as following:
            assert following.process.stdout is not None
            first = following.process.stdout.readline()
            assert first.startswith("loss=")
            (tmp_path / "go").touch()
            ended = following.end()
        assert (ended.code, ended.stdout) == (0, "done\n")
        assert running.end().code == 0
