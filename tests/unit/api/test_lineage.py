from __future__ import annotations

import pytest

from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import (
    Algorithm,
    Collector,
    Experiment,
    FileSystemPath,
    MetricsCollectorSpec,
    MetricsSource,
    TrialTemplate,
)
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL, checkpoint_path_of, parent_of
from katibpy.api.template import compile_template
from katibpy.api.validation import validate_experiment
from katibpy.core.building import assignment_of, trial_of
from katibpy.core.records import StoredProposal
from katibpy.core.views import Proposed
from katibpy.testing import builders as build


def posed(path: str | None, *, metrics: str = "") -> Experiment:
    settings = {} if path is None else {"suggestion_trial_dir": path}
    made = build.experiment()
    spec = made.spec.but(algorithm=build.algorithm("random", **settings))
    if metrics:
        source = MetricsSource(file_system_path=FileSystemPath(kind="File", path=metrics, format="TEXT"))
        spec = spec.but(
            metrics_collector_spec=MetricsCollectorSpec(collector=Collector(kind="File"), source=source)
        )
    return with_defaults(made.but(spec=spec))


def refusals(experiment: Experiment) -> dict[str, str]:
    found = validate_experiment(experiment, known_algorithms=None, known_stopping=None)
    return {error.path: error.message for error in found}


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        (None, ""),
        ("", ""),
        ("  ", ""),
        ("/opt/katib/data", "/opt/katib/data"),
        (" /opt//katib/data/ ", "/opt/katib/data"),
    ],
)
def test_the_setting_of_any_algorithm_says_where_trials_see_their_directory(
    path: str | None, seen: str
) -> None:
    assert checkpoint_path_of(posed(path)) == seen
    assert refusals(posed(path)) == {}


def test_an_experiment_without_an_algorithm_has_none() -> None:
    assert checkpoint_path_of(Experiment()) == ""
    assert checkpoint_path_of(Experiment(spec=Experiment().spec.but(algorithm=Algorithm()))) == ""


@pytest.mark.parametrize("path", ["relative/dir", "/", "//", ".", "/data/../..", "/opt/../etc"])
def test_a_path_that_cannot_be_a_directory_of_ones_own_is_refused(path: str) -> None:
    (where, message), *others = refusals(posed(path)).items()
    assert (where, others) == ("spec.algorithm.algorithmSettings[0].value", [])
    assert (
        message
        == f"must be the absolute path of a directory of its own, such as /opt/katib/data, got {path!r}"
    )


@pytest.mark.parametrize(
    ("metrics", "is_refused"),
    [
        ("/ckpt/metrics.log", True),
        ("/ckpt/deep/m.log", True),
        ("/ckpt2/m.log", False),
        ("/m/ckpt/m.log", False),
    ],
)
def test_metrics_must_not_be_handed_on_with_checkpoints(metrics: str, is_refused: bool) -> None:
    found = refusals(posed("/ckpt", metrics=metrics))
    assert list(found) == (["spec.metricsCollectorSpec.source.fileSystemPath.path"] if is_refused else [])


def test_a_trial_knows_its_directory_and_its_parent() -> None:
    experiment = posed("/ckpt")
    proposed = Proposed(assignments=(), labels={CHECKPOINT_FROM_LABEL: "p"})
    assignment = assignment_of(experiment, proposed, 3).but(
        parameter_assignments=build.proposal(experiment, 3).assignment.parameter_assignments
    )
    template = compile_template(experiment.spec.trial_template or TrialTemplate())
    made = trial_of(experiment, StoredProposal(3, assignment), template=template, now=build.MOMENT)
    assert (made.spec.checkpoint_path, parent_of(made.metadata.labels)) == ("/ckpt", "p")
