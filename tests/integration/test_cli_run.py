from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from katibpy.api.codec import load_documents, to_dict
from katibpy.api.experiment import Experiment
from tests.integration.cli_process import CommandLine, has_running_trials
from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import experiment_file, experiment_text

FAILS = "echo before; echo no luck >&2; exit 3"
FAILS_SOMETIMES = "case $X in 0.[1-4]*) echo no luck >&2; exit 3;; esac; echo loss=$X"
WAITS = "echo loss=$X\nwhile [ ! -e go ]; do sleep 0.1; done"
"""A trial that runs until there is a file called `go`."""


@pytest.fixture
def katib(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_a_run_prints_a_line_for_each_trial_and_the_best_as_a_table(katib: CommandLine) -> None:
    ended = katib("run", experiment_file(katib.folder))
    assert ended.code == 0, ended
    assert "\x1b" not in ended.stdout + ended.stderr
    best = katib.experiment().status.current_optimal_trial
    assert best is not None
    value = best.observation.metrics[0].min
    assert re.search(rf"│ loss \(minimize\) +│ {re.escape(value)} +│", ended.stdout)
    assert best.best_trial_name in ended.stdout
    assert "4 trials in " in ended.stdout
    lines = ended.stderr.splitlines()
    assert lines[0] == "experiment tune: random, up to 4 trials, 2 at a time"
    trials = [line for line in lines if line.startswith("[")]
    assert [line.split()[0] for line in trials] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert all(re.search(r"tune-\w{8} Succeeded loss=0\.\d+ x=0\.\d+( \(best\))?$", line) for line in trials)
    (last_best,) = [line for line in trials if line.endswith("(best)")][-1:]
    assert best.best_trial_name in last_best


def test_json_is_the_final_experiment_and_nothing_else(katib: CommandLine, here: CommandHere) -> None:
    ended = here("run", experiment_file(katib.folder), "-o", "json")
    assert ended.code == 0, ended
    data = json.loads(ended.stdout)
    assert (data["apiVersion"], data["kind"]) == ("kubeflow.org/v1beta1", "Experiment")
    assert data["status"]["trialsSucceeded"] == 4
    assert data["status"]["currentOptimalTrial"]["parameterAssignments"][0]["name"] == "x"
    (document,) = load_documents(ended.stdout)
    assert to_dict(document.resource) == to_dict(katib.experiment()) == data


def test_several_experiments_run_at_once_and_make_a_list(katib: CommandLine, here: CommandHere) -> None:
    # Each trial waits for one of the other experiment, so one after the other would never end.
    first = "touch first; while [ ! -e second ]; do sleep 0.05; done; echo loss=$X"
    second = "touch second; while [ ! -e first ]; do sleep 0.05; done; echo loss=$X"
    text = experiment_text("one", command=first) + "---\n" + experiment_text("two", command=second)
    (katib.folder / "both.yaml").write_text(text)
    ended = here("run", "both.yaml", "-q", "-o", "yaml")
    assert (ended.code, ended.stderr) == (0, ""), ended
    names = [document.resource.metadata.name for document in load_documents(ended.stdout)]
    assert names == ["one", "two"]


def test_a_failed_experiment_ends_with_1_and_tells_why(katib: CommandLine, here: CommandHere) -> None:
    ended = here("run", experiment_file(katib.folder, command=FAILS))
    assert ended.code == 1
    assert "PROBLEM  2 of 2 failed trials, for example tune-" in ended.stdout
    assert ": the process ended with exit code 3\n" in ended.stdout
    assert "             no luck\n" in ended.stdout
    example = re.search(r"`katib logs (\S+)`", ended.stdout)
    assert example is not None
    assert katib.ask("logs", example[1]).stdout == "before\nno luck\n"
    assert ended.stdout.endswith("More: katib explain tune\n")
    assert "2 of 2 failed trials" in katib.ask("explain", "tune").stdout


def test_failed_trials_do_not_make_a_failed_experiment(katib: CommandLine, here: CommandHere) -> None:
    file = experiment_file(katib.folder, command=FAILS_SOMETIMES, maximum=8, max_failed=7)
    ended = here("run", file)
    status = katib.experiment().status
    assert ended.code == 0, ended
    assert 0 < status.trials_failed < 8
    assert "8 trials in " in ended.stdout
    assert f"{status.trials_failed} failed" in ended.stdout
    assert (
        len(re.findall(r"Failed x=.*: .*exit code 3; last output: no luck", ended.stderr))
        == status.trials_failed
    )


def test_running_a_finished_file_again_prints_its_result(katib: CommandLine, here: CommandHere) -> None:
    file = experiment_file(katib.folder)
    first, again = here("run", file), here("run", file)
    assert (again.code, again.stdout) == (0, first.stdout)
    assert again.stderr == "experiment tune ended before; its result follows (--replace starts over)\n"
    here("run", experiment_file(katib.folder, "bad", command=FAILS))
    assert here("run", "bad.yaml", "-q").code == 1


def test_a_changed_spec_is_refused_with_its_fields_until_it_replaces(
    katib: CommandLine, here: CommandHere
) -> None:
    file = experiment_file(katib.folder)
    assert here("run", file, "-q").code == 0
    before = katib.experiment()
    file.write_text(file.read_text().replace('max: "0.9"', 'max: "0.5"').replace("seed: 1", "seed: 2"))
    refused = here("run", file)
    assert (refused.code, refused.stdout) == (2, "")
    lines = {name: file.read_text().split(name)[0].count("\n") + 1 for name in ("seed:", "max:")}
    assert f"{file}:{lines['seed:']}: spec.seed must not change" in refused.stderr
    assert f"{file}:{lines['max:']}: spec.parameters[0].feasibleSpace.max must not change" in refused.stderr
    assert "was '0.9', got '0.5'" in refused.stderr
    assert "--replace" in refused.stderr
    assert katib.experiment() == before
    replaced = here("run", file, "--replace", "-o", "name")
    assert (replaced.code, replaced.stdout) == (0, "experiment.kubeflow.org/tune\n")
    assert "starts over" in replaced.stderr
    assert katib.experiment().metadata.uid != before.metadata.uid


def test_an_edited_budget_is_applied(katib: CommandLine, here: CommandHere) -> None:
    file = experiment_file(katib.folder, extra="resumePolicy: LongRunning\n")
    assert here("run", file, "-q").code == 0
    file.write_text(file.read_text().replace("maxTrialCount: 4", "maxTrialCount: 6"))
    ended = here("run", file)
    assert ended.code == 0, ended
    assert "experiment tune goes on after 4 trials with spec.maxTrialCount edited" in ended.stderr
    assert "[5/6]" in ended.stderr
    assert "[4/6]" not in ended.stderr
    assert katib.experiment().status.trials_succeeded == 6


def test_a_second_run_names_the_process_that_has_the_state_directory(
    katib: CommandLine, here: CommandHere
) -> None:
    file = experiment_file(katib.folder, command=WAITS)
    with katib.start("run", file) as running:
        katib.wait(has_running_trials(1))
        second = here("run", file)
        assert (second.code, second.stdout) == (2, "")
        assert f"process {running.process.pid}" in second.stderr
        assert katib.ask("get", "trials").code == 0
        (katib.folder / "go").touch()
        assert running.end().code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold at least one resource"),
        ("kind: Pod\napiVersion: v1\n", "kind must be"),
        (None, "no such file"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    katib: CommandLine, here: CommandHere, text: str | None, said: str
) -> None:
    if text is not None:
        (katib.folder / "bad.yaml").write_text(text)
    ended = here("run", "bad.yaml", "-o", "json")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("bad.yaml")
    assert said in ended.stderr
    assert not (katib.folder / ".katib").exists()


def test_state_directory_and_namespace_come_from_options_and_environment(
    katib: CommandLine, here: CommandHere
) -> None:
    file = experiment_file(katib.folder, maximum=1, parallel=1, max_failed=1)
    assert here("run", file, "-q", "-n", "team", KATIB_STATE_DIR="elsewhere").code == 0
    assert not (katib.folder / ".katib").exists()
    listed = katib.ask("get", "exp", "-A", "-o", "json", "--state-dir", str(katib.folder / "elsewhere"))
    (item,) = json.loads(listed.stdout)["items"]
    assert item["metadata"]["namespace"] == "team"
    assert isinstance(load_documents(json.dumps(item))[0].resource, Experiment)
