from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.api.experiment import TrialTemplate
from katibpy.api.model import NameValue
from katibpy.api.template import compile_template, find_placeholders, render_run_spec
from katibpy.errors import InvalidResource

JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "labels": {"team": "vision"},
        "annotations": {"note": "by ${trialParameters.lr}", "plain": "p"},
    },
    "spec": {
        "backoffLimit": 2,
        "template": {
            "spec": {
                "containers": [
                    {"name": "training", "command": ["train", "--lr=${trialParameters.lr}", "100%"]},
                    {"name": "other", "env": [{"name": "A", "value": "1"}]},
                ]
            }
        },
    },
}


def template(spec: dict[str, Any], **references: str) -> TrialTemplate:
    entries = [{"name": name, "reference": reference} for name, reference in references.items()]
    return TrialTemplate.model_validate({"trialSpec": spec, "trialParameters": entries})


def render(spec: dict[str, Any], assignments: dict[str, str], **references: str) -> dict[str, Any]:
    return render_run_spec(template(spec, **references), assignments, trial_name="t-1", namespace="ns")


def test_placeholders_are_filled_and_name_and_namespace_are_set() -> None:
    run = render(JOB, {"rate": "0.01"}, lr="rate")
    assert run["spec"]["template"]["spec"]["containers"][0]["command"] == ["train", "--lr=0.01", "100%"]
    assert run["metadata"] == {
        "labels": {"team": "vision"},
        "annotations": {"note": "by 0.01", "plain": "p"},
        "name": "t-1",
        "namespace": "ns",
    }
    assert run["apiVersion"] == "batch/v1"


def test_assignments_may_be_given_as_the_resources_hold_them() -> None:
    compiled = compile_template(template(JOB, lr="rate"))
    run = compiled.render((NameValue(name="rate", value="7"),), trial_name="t", namespace="n")
    assert run["metadata"]["annotations"]["note"] == "by 7"


def test_the_template_is_left_alone_and_unchanged_parts_are_shared() -> None:
    before = json.dumps(JOB)
    compiled = compile_template(template(JOB, lr="rate"))
    one = compiled.render({"rate": "1"}, trial_name="a", namespace="n")
    two = compiled.render({"rate": "2"}, trial_name="b", namespace="n")
    assert json.dumps(JOB) == before
    containers = [run["spec"]["template"]["spec"]["containers"] for run in (one, two)]
    assert containers[0][1] is containers[1][1]
    assert containers[0][0] is not containers[1][0]
    assert (one["metadata"]["name"], two["metadata"]["name"]) == ("a", "b")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("${trialSpec.Name}", "t-1"),
        ("${trialSpec.Namespace}", "ns"),
        ("${trialSpec.Kind}", "Job"),
        ("${trialSpec.APIVersion}", "batch/v1"),
        ("${trialSpec.Labels[team]}", "vision"),
        ("${trialSpec.Annotations[plain]}", "p"),
    ],
)
def test_every_reference_to_the_trial_itself_is_known(reference: str, text: str) -> None:
    spec = {**JOB, "spec": {"x": "<${trialParameters.meta}>"}}
    run = render(spec, {"rate": "1"}, lr="rate", meta=reference)
    assert run["spec"] == {"x": f"<{text}>"}


@pytest.mark.parametrize(
    ("reference", "fragment"),
    [
        ("${trialSpec.Uid}", "must be Name, Namespace"),
        ("${trialSpec.Labels[color]}", "has team"),
        ("${trialSpec.Annotations[missing]}", "'missing'"),
    ],
)
def test_a_reference_to_nothing_is_refused_by_name(reference: str, fragment: str) -> None:
    with pytest.raises(InvalidResource, match="trialParameters") as caught:
        compile_template(template(JOB, lr="rate", meta=reference))
    assert fragment in str(caught.value)
    assert caught.value.errors[0].path == "spec.trialTemplate.trialParameters[1].reference"


def test_a_key_may_hold_a_placeholder() -> None:
    run = render({"kind": "X", "${trialParameters.a}-x": ["${trialParameters.a}"]}, {"a": "k"}, a="a")
    assert run["k-x"] == ["k"]


def test_two_keys_that_become_one_are_refused() -> None:
    with pytest.raises(InvalidResource, match="'k' comes up twice"):
        render({"spec": {"${trialParameters.a}": 1, "k": 2}}, {"a": "k"}, a="a")


def test_a_string_that_is_one_placeholder_stays_a_string() -> None:
    assert render({"spec": {"n": "${trialParameters.a}"}}, {"a": "3"}, a="a")["spec"]["n"] == "3"


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    spec = {"spec": ["${trialParameters.a} ${trialParameters.b}"]}
    run = render(spec, {"a": "${trialParameters.b}", "b": "%s"}, a="a", b="b")
    assert run["spec"] == ["${trialParameters.b} %s"]


def test_an_unknown_placeholder_is_named_with_its_path() -> None:
    with pytest.raises(InvalidResource) as caught:
        compile_template(template({"spec": {"args": ["${trialParameters.typo}"]}}, lr="rate"))
    (error,) = caught.value.errors
    assert error.path == "spec.trialTemplate.trialSpec.spec.args[0]"
    assert "typo" in error.message
    assert "lr" in error.message


def test_missing_and_unused_assignments_are_both_named() -> None:
    with pytest.raises(InvalidResource) as caught:
        render(JOB, {"other": "1"}, lr="rate")
    text = str(caught.value)
    assert "'rate'" in text
    assert "'other'" in text
    with pytest.raises(InvalidResource, match="'extra'"):
        render(JOB, {"rate": "1", "extra": "2"}, lr="rate")


def test_a_template_without_source_is_refused() -> None:
    with pytest.raises(InvalidResource, match="trialSpec must be present"):
        compile_template(TrialTemplate())


def test_a_structure_that_is_too_deep_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidResource, match="must not be nested deeper"):
        compile_template(template({"spec": deep}))


def test_placeholders_are_found_in_keys_and_values_with_the_first_path() -> None:
    found = find_placeholders(
        {"a": ["${trialParameters.x}", {"${trialParameters.y}": "${trialParameters.x}"}]}, "t"
    )
    assert found == {"x": "t.a[0]", "y": 't.a[1]["${trialParameters.y}"]'}


@given(value=st.text())
def test_any_value_comes_out_as_it_went_in(value: str) -> None:
    run = render(JOB, {"rate": value}, lr="rate")
    assert run["spec"]["template"]["spec"]["containers"][0]["command"][1] == f"--lr={value}"
    assert {**run, "metadata": 0, "spec": 0} == {**JOB, "metadata": 0, "spec": 0}
    assert run["spec"]["backoffLimit"] == 2
