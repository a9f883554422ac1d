"""The client in this process: what it begins, waits for, looks at, edits and deletes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from katibpy import KatibClient, search
from katibpy.client.results import OptimalHyperparameters
from katibpy.errors import (
    AlreadyExists,
    ExperimentFailed,
    InputError,
    InvalidResource,
    NotFound,
    UnexpectedEnd,
    Unsupported,
    WaitTimeout,
)
from tests.integration.command_here import AlgorithmAddress

ONE_OF_SIX = {"x": search.int(1, 6)}


@pytest.fixture
def new(tmp_path: Path) -> Iterator[KatibClient]:
    """A client whose state directory is not there yet, and whose runs start a service of algorithms."""
    with KatibClient(state_dir=tmp_path / "state") as client:
        yield client


@pytest.fixture
def client(new: KatibClient, algorithms: AlgorithmAddress) -> KatibClient:
    """A client whose runs ask the shared service of algorithms."""
    algorithms.use_in(new.state_dir)
    return new


def doubling() -> Callable[[dict[str, Any]], float]:
    return lambda parameters: 2.0 * parameters["x"]


def sleeping(marker: Path) -> Callable[..., float]:
    """Runs until a file appears."""

    def sleep(x: int) -> float:
        import time

        give_up = time.monotonic() + 60
        while not marker.exists() and time.monotonic() < give_up:
            time.sleep(0.02)
        return float(x)

    return sleep


def tune(client: KatibClient, name: str = "double", **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "objective": doubling(),
        "parameters": ONE_OF_SIX,
        "objective_metric_name": "y",
        "algorithm_name": "grid",
        "max_trial_count": 3,
        "seed": 1,
    }
    client.tune(name, **(arguments | changes))


def best_of(client: KatibClient, name: str) -> OptimalHyperparameters:
    best = client.get_optimal_hyperparameters(name)
    assert best is not None
    return best


def wait_until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_an_algorithm_cannot_work_with_is_raised_and_not_stored(new: KatibClient) -> None:
    with pytest.raises(InvalidResource, match="is refused by cmaes: algorithm cmaes needs at least 2"):
        tune(new, algorithm_name="cmaes")
    assert new.list_experiments() == []


def test_a_tuned_function_can_be_looked_at_from_all_sides(new: KatibClient) -> None:
    tune(new, max_trial_count=None, additional_metric_names=["z"])
    experiment = new.wait_for_experiment_condition("double")
    assert experiment.status.trials_succeeded == 6
    assert new.is_experiment_created("double")
    assert new.is_experiment_succeeded(experiment=experiment)
    assert not new.is_experiment_running("double")
    assert not new.is_experiment_restarting("double")
    assert not new.is_experiment_failed("double")
    assert new.get_experiment_conditions("double")[-1].type == "Succeeded"
    assert [each.metadata.name for each in new.list_experiments()] == ["double"]
    assert [each.metadata.name for each in new.list_suggestions()] == ["double"]
    assert new.get_suggestion("double").status.suggestion_count == 6
    trials = new.list_trials("double")
    assert sorted(int(trial.spec.parameter_assignments[0].value) for trial in trials) == [1, 2, 3, 4, 5, 6]
    assert new.list_trials() == trials
    assert new.list_trials("other") == []
    details = new.get_success_trial_details("double")
    assert [each["name"] for each in details] == [trial.metadata.name for trial in trials]
    best = best_of(new, "double")
    assert (best.parameters, best.metrics["y"]) == ({"x": 6}, 12.0)
    assert new.get_trial(best.best_trial_name).spec.parameter_assignments[0].value == "6"
    assert [each.metric.value for each in new.get_trial_metrics(best.best_trial_name)] == ["12.0"]
    assert list(new.get_job_logs("double")) == ["y=12.0"]
    worst = next(trial for trial in trials if trial.spec.parameter_assignments[0].value == "1")
    assert list(new.get_job_logs("double", worst.metadata.name)) == ["y=2.0"]


def test_objects_of_a_categorical_parameter_come_back_as_they_are(client: KatibClient) -> None:
    tune(
        client,
        objective=lambda layers: float(len(layers)),
        parameters={"layers": search.categorical([(8,), (8, 8)])},
        max_trial_count=None,
    )
    client.wait_for_experiment_condition("double")
    assert best_of(client, "double").parameters == {"layers": (8, 8)}


def test_a_function_without_a_result_has_no_best_trial(client: KatibClient) -> None:
    tune(client, objective=lambda x: None, max_trial_count=1)
    with pytest.raises(ExperimentFailed, match="the objective 'y' never appeared"):
        client.wait_for_experiment_condition("double")
    assert client.get_optimal_hyperparameters("double") is None


def test_waiting_raises_the_traceback_that_most_failures_have_in_common(client: KatibClient) -> None:
    def fragile(x: int) -> float:
        if x == 1:
            raise KeyError("one")
        return 1 / (x - x)

    tune(client, objective=fragile, parallel_trial_count=1)
    with pytest.raises(ExperimentFailed) as caught:
        client.wait_for_experiment_condition("double")
    text = str(caught.value)
    assert "none of its 3 trials succeeded" in text
    assert "Most common failure (2 of 3)" in text
    assert "return 1 / (x - x)" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert isinstance(caught.value, RuntimeError)
    assert (
        client.wait_for_experiment_condition("double", expected_condition="Failed").status.trials_failed == 3
    )


def test_waiting_for_what_cannot_come_any_more_ends(client: KatibClient) -> None:
    tune(client)
    client.wait_for_experiment_condition("double")
    with pytest.raises(UnexpectedEnd, match="it will not be Running any more"):
        client.wait_for_experiment_condition("double", expected_condition="Running")
    with pytest.raises(InputError, match="must be one of Created, Running"):
        client.wait_for_experiment_condition("double", expected_condition="Done")


def test_waiting_ends_in_time_and_what_was_closed_goes_on(new: KatibClient, tmp_path: Path) -> None:
    marker = tmp_path / "go"
    tune(new, objective=sleeping(marker), parallel_trial_count=2)
    with pytest.raises(WaitTimeout, match=r"must be Succeeded within 0\.3 s, got") as caught:
        new.wait_for_experiment_condition("double", timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    new.wait_for_experiment_condition("double", expected_condition="Running")
    new.close()
    assert not new.is_experiment_running("double")
    marker.touch()
    experiment = new.wait_for_experiment_condition("double")
    assert (experiment.status.trials, experiment.status.trials_succeeded) == (3, 3)


def test_more_trials_are_run_when_the_budget_is_raised(client: KatibClient) -> None:
    tune(client, max_trial_count=2)
    client.wait_for_experiment_condition("double")
    client.edit_experiment_budget("double", max_trial_count=4, parallel_trial_count=1)
    experiment = client.wait_for_experiment_condition("double")
    assert (experiment.status.trials_succeeded, experiment.spec.parallel_trial_count) == (4, 1)
    with pytest.raises(InvalidResource, match=r"spec.maxTrialCount must be greater"):
        client.edit_experiment_budget("double", max_trial_count=3)
    with pytest.raises(InputError, match="must be given max_trial_count"):
        client.edit_experiment_budget("double")


def test_a_running_experiment_takes_an_edited_budget(client: KatibClient, tmp_path: Path) -> None:
    marker = tmp_path / "go"
    tune(client, objective=sleeping(marker), parallel_trial_count=1, max_trial_count=2)
    wait_until(lambda: len(client.list_trials("double")) == 1)
    client.edit_experiment_budget("double", parallel_trial_count=2)
    wait_until(lambda: len(client.list_trials("double")) == 2)
    marker.touch()
    client.wait_for_experiment_condition("double")


def test_the_same_again_goes_on_and_another_is_refused(client: KatibClient) -> None:
    tune(client)
    client.wait_for_experiment_condition("double")
    uid = client.get_experiment("double").metadata.uid
    tune(client)
    tune(client, max_trial_count=5)
    assert client.wait_for_experiment_condition("double").status.trials == 5
    assert client.get_experiment("double").metadata.uid == uid
    other: dict[str, Any] = {"objective": lambda p: -p["x"], "max_trial_count": 5}
    with pytest.raises(AlreadyExists, match="calls another objective"):
        tune(client, **other)
    with pytest.raises(AlreadyExists, match=r"spec\.algorithm\.algorithmName must not change"):
        tune(client, max_trial_count=5, algorithm_name="random")
    assert best_of(client, "double").metrics == {"y": 10.0}
    tune(client, **other, replace=True)
    client.wait_for_experiment_condition("double")
    assert client.get_experiment("double").metadata.uid != uid
    assert best_of(client, "double").metrics == {"y": -1.0}
    assert len(list(client.state_dir.glob("objectives/default/*"))) == 1


def test_a_deleted_experiment_leaves_nothing(client: KatibClient, tmp_path: Path) -> None:
    tune(client, objective=sleeping(tmp_path / "never"), parallel_trial_count=2)
    tune(client, name="double-two")
    client.wait_for_experiment_condition("double-two")
    wait_until(lambda: len(client.list_trials("double")) == 2)
    client.delete_experiment("double")
    assert [each.metadata.name for each in client.list_experiments()] == ["double-two"]
    assert client.list_trials("double") == []
    assert [path.name.rpartition("-")[0] for path in client.state_dir.glob("objectives/*/*")] == [
        "double-two"
    ]
    wait_until(lambda: len(list(client.state_dir.glob("trials/default/*"))) == 3)
    names = [path.name for path in client.state_dir.glob("trials/default/*")]
    assert all(name.startswith("double-two-") for name in names)
    with pytest.raises(NotFound, match="there is no experiment 'double' in namespace 'default'"):
        client.delete_experiment("double")


def test_output_is_followed_to_the_end_of_the_trial(client: KatibClient, tmp_path: Path) -> None:
    marker = tmp_path / "go"

    def talking(x: int) -> float:
        import time

        print("begun")  # noqa: T201 - as objectives do
        while not marker.exists():
            time.sleep(0.02)
        print("half", end="")  # noqa: T201
        return float(x)

    tune(client, objective=talking, max_trial_count=1)
    wait_until(lambda: bool(client.list_trials("double")))
    lines = client.get_job_logs("double", follow=True)
    assert next(lines) == "begun"
    marker.touch()
    assert list(lines) == ["half", "y=1.0"]


def test_clients_of_one_directory_share_what_runs(client: KatibClient, tmp_path: Path) -> None:
    marker = tmp_path / "go"
    with KatibClient(state_dir=tmp_path / "state", namespace="team") as other:
        tune(other, objective=sleeping(marker), max_trial_count=1)
        tune(client, max_trial_count=1)
        client.wait_for_experiment_condition("double")
        with pytest.raises(NotFound, match="there is one in namespace 'team'"):
            KatibClient(state_dir=tmp_path / "state", namespace="elsewhere").get_experiment("double")
    marker.touch()
    experiment = client.wait_for_experiment_condition("double", "team")
    assert experiment.status.trials_succeeded == 1


def test_progress_is_shown_where_it_is_asked_for(
    client: KatibClient, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(client, progress=True, parallel_trial_count=1)
    client.wait_for_experiment_condition("double", progress=True)
    tune(client, parallel_trial_count=1)
    client.wait_for_experiment_condition("double")
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *lines = shown.err.splitlines()
    assert first == "experiment double: grid, up to 3 trials, 1 at a time"
    assert [line.partition(" ")[0] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]


def test_experiments_are_created_from_yaml_in_the_namespace_that_is_meant(client: KatibClient) -> None:
    text = (Path(__file__).parent / "shapes" / "grid.yaml").read_text()
    client.create_experiment(text, "team")
    [experiment] = client.list_experiments("team")
    assert client.list_experiments() == []
    with pytest.raises(InvalidResource, match=r"metadata\.namespace must be 'other', as the argument"):
        client.create_experiment(experiment, "other")
    client.delete_experiment(experiment.metadata.name, "team")


def test_what_is_not_there_is_told_clearly(new: KatibClient) -> None:
    assert new.list_experiments() == []
    with pytest.raises(NotFound, match="there is no experiment 'double': nothing has run in"):
        new.get_experiment("double")
    tune(new, max_trial_count=1)
    new.wait_for_experiment_condition("double")
    with pytest.raises(NotFound, match="did you mean `double`"):
        new.wait_for_experiment_condition("doubel")


@pytest.mark.parametrize("argument", ["config_file", "context", "client_configuration"])
def test_a_cluster_is_refused(argument: str) -> None:
    with pytest.raises(Unsupported, match=f"{argument} names a cluster"):
        KatibClient(**{argument: "x"})


@pytest.mark.parametrize(
    "argument",
    ["model_provider_parameters", "dataset_provider_parameters", "trainer_parameters", "storage_config"],
)
def test_what_needs_a_cluster_is_refused(new: KatibClient, argument: str) -> None:
    given: dict[str, Any] = {argument: "x"}
    with pytest.raises(Unsupported, match=f"{argument} needs a cluster"):
        new.tune("double", objective=doubling(), parameters=ONE_OF_SIX, **given)
    assert new.list_experiments() == []


def test_a_function_is_not_tuned_where_trials_run_in_containers(new: KatibClient) -> None:
    new.state_dir.mkdir()
    (new.state_dir / "config.yaml").write_text("runner: container")
    with pytest.raises(Unsupported, match="says runner: container: give the client another state_dir"):
        tune(new)


def test_every_mistake_in_the_arguments_is_told_at_once(new: KatibClient) -> None:
    with pytest.raises(InvalidResource) as caught:
        tune(new, name="No", max_trial_count=0, parameters={"x": search.int(6, 1)})
    paths = {error.path for error in caught.value.errors}
    assert {"metadata.name", "spec.maxTrialCount"} <= paths
    assert not new.state_dir.exists()
