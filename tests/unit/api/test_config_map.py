from __future__ import annotations

import pytest

from katibpy.api.codec import load_documents
from katibpy.api.config_map import ConfigMap, with_template
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.template import render_run_spec
from katibpy.api.validation import validate_experiment
from katibpy.errors import FieldError, InvalidResource
from tests.unit.api.valid_cases import VALID

JOB = """
    apiVersion: batch/v1
    kind: Job
    spec:
      template:
        spec:
          containers: [{name: training, image: x, args: ["${trialParameters.learningRate}"]}]
"""


def file_with(data: str, *, name: str = "templates") -> tuple[Experiment, dict[tuple[str, str], ConfigMap]]:
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: kubeflow}}\ndata:\n"
    one, two = [each.resource for each in load_documents(f"{VALID['configmap']}---\n{head}{data}\n")]
    assert isinstance(one, Experiment)
    assert isinstance(two, ConfigMap)
    return one, {("kubeflow", name): two}


def refusal(data: str, *, name: str = "templates") -> FieldError:
    experiment, config_maps = file_with(data, name=name)
    with pytest.raises(InvalidResource) as caught:
        with_template(experiment, config_maps)
    (error,) = caught.value.errors
    return error


def test_a_template_comes_from_a_config_map_of_the_same_file() -> None:
    experiment, config_maps = file_with(f"  default.yaml: |{JOB}")
    resolved = with_defaults(with_template(experiment, config_maps))
    assert validate_experiment(resolved, known_algorithms=None, known_stopping=None) == ()
    template = resolved.spec.trial_template
    assert template is not None
    assert template.config_map is None
    run = render_run_spec(template, {"lr": "0.02"}, trial_name="t", namespace="n")
    assert run["spec"]["template"]["spec"]["containers"][0]["args"] == ["0.02"]


def test_an_experiment_with_its_own_template_is_left_alone() -> None:
    (document,) = load_documents(VALID["random"])
    assert isinstance(document.resource, Experiment)
    assert with_template(document.resource, {}) is document.resource


def test_a_missing_config_map_is_named_with_those_that_exist() -> None:
    error = refusal("  default.yaml: x", name="other")
    assert error.path == "spec.trialTemplate.configMap"
    assert "'kubeflow/templates'" in error.message
    assert "kubeflow/other" in error.message


def test_a_missing_entry_is_named_with_those_that_exist() -> None:
    error = refusal("  other.yaml: x")
    assert error.path == "spec.trialTemplate.configMap.templatePath"
    assert "'default.yaml'" in error.message
    assert "other.yaml" in error.message


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ('  default.yaml: "a: [1"', "line 2"),
        ("  default.yaml: just words", "one mapping"),
        ('  default.yaml: "a: 1\\n---\\nb: 2"', "2 documents"),
        ('  default.yaml: "a: 1\\na: 2"', "is given twice"),
    ],
)
def test_an_entry_that_is_no_job_is_refused(text: str, fragment: str) -> None:
    error = refusal(text)
    assert error.path == "spec.trialTemplate.configMap.templatePath"
    assert fragment in error.message


def test_an_incomplete_source_is_left_to_validation() -> None:
    experiment, config_maps = file_with("  default.yaml: x")
    template = experiment.spec.trial_template
    assert template is not None
    assert template.config_map is not None
    incomplete = template.but(config_map=template.config_map.but(template_path=""))
    experiment = experiment.but(spec=experiment.spec.but(trial_template=incomplete))
    assert with_template(experiment, config_maps) is experiment
