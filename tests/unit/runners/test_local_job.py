from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from katibpy.api.experiment import Collector, FileSystemPath, MetricsCollectorSpec, MetricsSource
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import EXPERIMENT_LABEL, Trial, TrialSpec
from katibpy.errors import InvalidResource
from katibpy.runners.local_job import LocalJob, single_job_of

DIRECTORY = Path("/state/t1")
HERE = Path("/work")


def trial(
    container: dict[str, Any],
    *,
    pod: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    path: str = "",
) -> Trial:
    main = {"name": "main", "command": ["prog"], **container}
    template = {
        "metadata": {"labels": {"team": "vision"}, "annotations": {"note": "n"}},
        "spec": {"containers": [main], **(pod or {})},
    }
    collector = MetricsCollectorSpec()
    if path:
        source = MetricsSource(file_system_path=FileSystemPath(path=path, kind="File", format="TEXT"))
        collector = MetricsCollectorSpec(collector=Collector(kind="File"), source=source)
    spec = TrialSpec(
        run_spec={"apiVersion": "batch/v1", "kind": "Job", "spec": {**(job or {}), "template": template}},
        metrics_collector=collector,
        labels={"generation": "2"},
    )
    meta = ObjectMeta(name="t1", namespace="ns", uid="u1", labels={EXPERIMENT_LABEL: "exp"})
    return Trial(metadata=meta, spec=spec)


def job_for(container: dict[str, Any], **options: Any) -> LocalJob:
    return single_job_of(trial(container, **options), directory=DIRECTORY, default_working_directory=HERE)


def test_command_and_args_are_one_vector() -> None:
    assert job_for({"command": ["a", "b"], "args": ["c"]}).argv == ("a", "b", "c")


def test_a_trial_knows_who_it_is() -> None:
    environment = job_for({}).environment
    assert environment["KATIB_TRIAL_NAME"] == "t1"
    assert environment["KATIB_EXPERIMENT_NAME"] == "exp"


def test_values_may_refer_to_what_was_declared_before_and_words_to_all() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(C)"},
        {"name": "C", "value": "3"},
        {"name": "E"},
    ]
    job = job_for({"env": env, "args": ["$(B)", "$(C)", "$(KATIB_TRIAL_NAME)", "$(PATH)", "$$(A)"]})
    assert job.environment["B"] == "1-$(C)"
    assert job.environment["E"] == ""
    assert job.argv == ("prog", "1-$(C)", "3", "t1", "$(PATH)", "$(A)")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata.name", "t1"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u1"),
        ("metadata.labels['team']", "vision"),
        ("metadata.labels['generation']", "2"),
        ("metadata.labels['katib.kubeflow.org/trial']", "t1"),
        ("metadata.annotations['note']", "n"),
        ("metadata.labels['missing']", ""),
    ],
)
def test_fields_of_the_pod_are_filled_in(field: str, value: str) -> None:
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": field}}}]
    assert job_for({"env": env}).environment["V"] == value


def test_the_working_directory_is_relative_to_the_callers() -> None:
    assert job_for({}).working_directory == HERE
    assert job_for({"workingDir": "sub/dir"}).working_directory == HERE / "sub/dir"
    assert job_for({"workingDir": "/abs"}).working_directory == Path("/abs")


def test_limits_are_read_also_when_a_placeholder_made_them_text() -> None:
    job = job_for(
        {},
        job={"backoffLimit": "2", "activeDeadlineSeconds": 60},
        pod={"activeDeadlineSeconds": "30", "terminationGracePeriodSeconds": 5},
    )
    assert (job.backoff_limit, job.deadline_seconds, job.attempt_deadline_seconds) == (2, 60, 30)
    assert job.grace_seconds == 5.0


def test_a_job_that_says_nothing_is_tried_as_often_as_on_kubernetes() -> None:
    assert job_for({}).backoff_limit == 6


def test_a_named_metrics_file_is_the_trials_own() -> None:
    job = job_for(
        {"args": ["--log=/katib/m.log"], "env": [{"name": "D", "value": "/katib"}]}, path="/katib/m.log"
    )
    own = DIRECTORY / "metrics" / "m.log"
    assert job.metrics is not None
    assert (job.metrics.path, job.metrics.is_private) == (own, True)
    assert job.argv[1] == f"--log={own}"
    assert job.environment["D"] == str(own.parent)
    assert job.environment["KATIB_METRICS_FILE"] == str(own)
    assert job.private_directories == (own.parent,)


def test_a_metrics_file_that_is_not_named_is_the_hosts() -> None:
    job = job_for({}, path="/katib/m.log")
    assert job.metrics is not None
    assert (job.metrics.path, job.metrics.is_private) == (Path("/katib/m.log"), False)
    assert job.environment["KATIB_METRICS_FILE"] == "/katib/m.log"


def test_a_metrics_file_in_a_mounted_directory_stays_in_it() -> None:
    job = job_for(
        {
            "args": ["--dir=/katib-x", "/katib-x/a/m.log"],
            "volumeMounts": [{"name": "v", "mountPath": "/katib-x"}],
        },
        pod={"volumes": [{"name": "v", "emptyDir": {}}]},
        path="/katib-x/a/m.log",
    )
    volume = DIRECTORY / "volumes" / "v"
    assert job.argv[1:] == (f"--dir={volume}", f"{volume}/a/m.log")
    assert job.metrics is not None
    assert job.metrics.path == volume / "a" / "m.log"
    assert set(job.private_directories) == {volume, volume / "a"}


def test_the_one_pod_of_an_indexed_job_has_index_zero() -> None:
    assert (
        job_for({}, job={"completionMode": "Indexed", "completions": 1}).environment["JOB_COMPLETION_INDEX"]
        == "0"
    )


def test_what_a_placeholder_made_wrong_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidResource) as caught:
        job_for({"env": [{"name": "1x", "value": ""}]}, job={"backoffLimit": "many"})
    assert {error.path for error in caught.value.errors} == {
        "spec.runSpec.spec.backoffLimit",
        "spec.runSpec.spec.template.spec.containers[0].env[0].name",
    }
