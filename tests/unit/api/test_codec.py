from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.api.codec import (
    Document,
    dump_json,
    dump_yaml,
    from_dict,
    load_documents,
    load_object,
    to_dict,
)
from katibpy.api.config_map import ConfigMap
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment, Metric
from katibpy.api.model import Condition, OwnerReference
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.errors import FieldError, InvalidResource, ParseError
from tests.unit.api.valid_cases import VALID

HEAD = "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\nmetadata: {name: e}\n"


def load(text: str) -> Experiment:
    (document,) = load_documents(text)
    assert isinstance(document.resource, Experiment)
    return document.resource


def refused(text: str, **options: bool) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidResource) as caught:
        load_documents(text, **options)
    return caught.value.errors


def space(text: str) -> dict[str, Any]:
    head = "spec: {parameters: [{name: p, parameterType: double, feasibleSpace: "
    return to_dict(load(f"{HEAD}{head}{text}}}]}}\n").spec.parameters[0].feasible_space)


def test_text_fields_keep_what_the_user_wrote() -> None:
    assert space("{min: 0.10, max: 1e-3, step: 010}") == {"min": "0.10", "max": "1e-3", "step": "010"}
    written = ["yes", "no", "On", "off", "1e-5", "0x1F", "1_000", "2020-01-01", "1:30", "null", ".inf"]
    listed = ", ".join("'null'" if word == "null" else word for word in written)
    assert space(f"{{list: [{listed}]}}") == {"list": written}


def test_json_numbers_in_text_fields_keep_their_digits() -> None:
    text = (
        '{"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "spec": {"parameters": [\t{"name": "p"'
    )
    found = load(text + ', "feasibleSpace": {"min": 0.10, "max": 1E3}}]}}')
    assert found.spec.parameters[0].feasible_space.min == "0.10"
    assert found.spec.parameters[0].feasible_space.max == "1E3"


def test_the_trial_spec_has_the_ordinary_meaning_of_yaml() -> None:
    found = load(
        HEAD + "spec: {trialTemplate: {trialSpec: {a: yes, b: 010, c: 1e-5, d: 'yes', e: y, f: ~}}}\n"
    )
    template = found.spec.trial_template
    assert template is not None
    assert template.trial_spec == {"a": True, "b": 8, "c": 1e-5, "d": "yes", "e": "y", "f": None}


def test_null_means_not_set() -> None:
    found = load(HEAD + "spec: {parameters: ~, maxTrialCount: null, objective: }\nstatus: ~\n")
    assert found == load(HEAD)


def test_a_field_knows_its_line() -> None:
    (document,) = load_documents(VALID["random"])
    lines = VALID["random"].splitlines()
    line = document.line_of("spec.parameters[1].feasibleSpace.max")
    assert line is not None
    assert "name: momentum" in lines[line - 1]
    assert document.line_of("spec.parameters[1].feasibleSpace.step") == line
    assert document.line_of("nowhere") is None
    found = document.located([FieldError("spec.parameters[1].name", "x"), FieldError("metadata.name", "y")])
    assert [error.path for error in found] == ["metadata.name", "spec.parameters[1].name"]


def test_problems_of_all_documents_come_at_once() -> None:
    text = f"{HEAD}spec: {{max: 1, seed: x}}\n---\nkind: Job\n---\n{HEAD}spec: []\n"
    assert {
        ("spec.max", 4),
        ("spec.seed", 4),
        ("kind", 6),
        ("spec", 11),
    } <= {(error.path, error.line) for error in refused(text)}


def test_broken_rules_come_together_with_fields_that_cannot_be_read() -> None:
    text = (
        HEAD + "spec:\n"
        "  objektive: {type: minimize}\n"
        "  maxTrialCount: many\n"
        "  parallelTrialCount: 0\n"
        "  parameters:\n"
        "  - {name: x, parameterType: double, feasibleSpce: {min: '0', max: '1'}}\n"
        "  - {name: y, parameterType: double, feasibleSpace: {min: '3', max: '1'}}\n"
    )
    paths = [error.path for error in refused(text)]
    assert {
        "spec.objektive",
        "spec.maxTrialCount",
        "spec.parallelTrialCount",
        "spec.parameters[0].feasibleSpce",
        "spec.parameters[1].feasibleSpace.min",
    } <= set(paths)
    followers = {"spec.objective", "spec.parameters[0].feasibleSpace.min", "spec.parameters[0].feasibleSpace"}
    assert not followers & set(paths)


def test_unknown_fields_may_be_kept() -> None:
    (document,) = load_documents(HEAD + "spec: {later: {a: [1]}}\n", allow_unknown=True)
    assert to_dict(document.resource)["spec"] == {"later": {"a": [1]}}


def test_what_kubernetes_writes_into_metadata_is_no_error() -> None:
    text = HEAD.replace(
        "{name: e}", "{name: e, managedFields: [{manager: k}], selfLink: /x, creationTimestamp: ~}"
    )
    assert to_dict(load(text))["metadata"]["managedFields"] == [{"manager": "k"}]


def test_a_kubernetes_list_counts_as_its_items() -> None:
    items = "\n".join(
        f"  - {{apiVersion: kubeflow.org/v1beta1, kind: Experiment, metadata: {{name: e{n}}}}}"
        for n in (1, 2)
    )
    documents = load_documents(f"apiVersion: v1\nkind: List\nitems:\n{items}\n")
    assert [document.resource.metadata.name for document in documents] == ["e1", "e2"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n---\n"])
def test_a_file_without_resources_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="at least one resource"):
        load_documents(text)


def test_every_kind_is_read_into_its_type() -> None:
    text = "\n---\n".join(
        [
            HEAD,
            HEAD.replace("Experiment", "Suggestion") + "spec: {algorithm: {algorithmName: a}, requests: 3}",
            HEAD.replace("Experiment", "Trial") + "status: {startTime: 2026-01-31T12:00:00Z}",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a.yaml: 'x: 1'}\n",
        ]
    )
    found = [document.resource for document in load_documents(text)]
    assert [type(resource) for resource in found] == [Experiment, Suggestion, Trial, ConfigMap]
    assert to_dict(found[2])["status"] == {"startTime": "2026-01-31T12:00:00Z"}


def test_a_bad_time_is_refused() -> None:
    (error,) = (each for each in refused(HEAD + "status: {startTime: yesterday}\n") if each.line == 4)
    assert error.path == "status.startTime"
    assert "'yesterday'" in error.message


def test_a_port_is_a_number_or_a_name_and_nothing_else() -> None:
    spec = "spec: {metricsCollectorSpec: {source: {httpGet: {port: %s}}}}\n"
    for port in (80, "web"):
        collector = load(HEAD + spec % port).spec.metrics_collector_spec
        assert collector is not None
        assert collector.source is not None
        assert collector.source.http_get is not None
        assert collector.source.http_get.port == port
    path = "spec.metricsCollectorSpec.source.httpGet.port"
    (error,) = (each for each in refused(HEAD + spec % "true") if each.path == path)
    assert "a port number or name" in error.message


def test_what_says_nothing_is_left_out() -> None:
    assert to_dict(Experiment()) == {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "", "namespace": "default"},
    }


def test_what_a_reader_needs_is_written_even_at_its_default() -> None:
    assert to_dict(Metric(name="loss")) == {
        "name": "loss",
        "min": "unavailable",
        "max": "unavailable",
        "latest": "unavailable",
    }
    assert to_dict(Condition(type="Running")) == {"type": "Running", "status": "True"}
    assert "apiVersion" in to_dict(OwnerReference(kind="Experiment", name="e", uid="u"))


def test_the_status_may_be_left_out() -> None:
    experiment = Experiment()
    experiment = experiment.but(status=experiment.status.but(trials=3))
    assert to_dict(experiment)["status"] == {"trials": 3}
    assert "status" not in to_dict(experiment, status=False)


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_documented_shapes_round_trip(text: str) -> None:
    (document,) = load_documents(text)
    assert isinstance(document.resource, Experiment)
    for resource in (document.resource, with_defaults(document.resource)):
        assert load(dump_yaml(resource)) == resource
        assert load(dump_json(resource)) == resource
        assert from_dict("Experiment", to_dict(resource)) == resource
        assert load_object(to_dict(resource)).resource == resource
        assert json.loads(dump_json(resource)) == to_dict(resource)


AWKWARD = st.text(st.sampled_from("a \n\r\t\"'#:-\x85\u2028\ufeff\x7f\0😀"), max_size=8)
TEXT = (
    st.text(max_size=12)
    | AWKWARD
    | st.sampled_from(["yes", "1e-5", "0.10", "~", "null", "y", "010", "1:30", "=", "<<", "- a"])
)
FREE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    values=st.lists(TEXT, max_size=4),
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
    job=st.dictionaries(TEXT, FREE, max_size=4),
    goal=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    count=st.none() | st.integers(0, 2**31),
)
def test_any_experiment_round_trips(
    values: list[str], labels: dict[str, str], job: dict[str, Any], goal: float | None, count: int | None
) -> None:
    experiment = Experiment.model_validate(
        {
            "metadata": {"name": "e", "labels": labels},
            "spec": {
                "parameters": [{"name": "p", "feasibleSpace": {"list": values}}],
                "objective": {"goal": goal, "additionalMetricNames": values},
                "maxTrialCount": count,
                "trialTemplate": {"trialSpec": job},
            },
        }
    )
    assert load(dump_yaml(experiment)) == experiment
    assert load(dump_json(experiment)) == experiment
    assert from_dict("Experiment", to_dict(experiment)) == experiment


@given(TEXT)
def test_other_yaml_readers_get_the_same_strings(text: str) -> None:
    assert yaml.safe_load(dump_yaml({"a": [text], "b": {text: 1}})) == {"a": [text], "b": {text: 1}}


def test_the_quick_way_forgives_null_and_says_what_is_wrong() -> None:
    found = from_dict("Trial", {"metadata": {"name": "t", "labels": None}, "spec": {"runSpec": {"a": None}}})
    assert isinstance(found, Trial)
    assert found.spec.run_spec == {"a": None}
    with pytest.raises(InvalidResource, match=r"spec\.retainRun must be true or false, got 'perhaps'"):
        from_dict("Trial", {"spec": {"retainRun": "perhaps"}})
    with pytest.raises(InvalidResource, match="did you mean `Trial`"):
        from_dict("Trail", {})


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for content in (text, HEAD + text):
        try:
            documents = load_documents(content)
        except (ParseError, InvalidResource):
            continue
        assert all(isinstance(document, Document) for document in documents)
