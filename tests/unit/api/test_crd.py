from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from katibpy.api.codec import load_documents, to_dict
from katibpy.api.crd import crd_manifests, crd_of
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from tests.unit.api.crd_schema import nodes, structural_faults, violations
from tests.unit.api.malformed_cases import CASES
from tests.unit.api.valid_cases import VALID

COMMITTED = Path(__file__).parents[3] / "deploy" / "crds"
KINDS = (Experiment, Suggestion, Trial)
SCHEMA_CATCHES = (
    "bad-objective-type",
    "bad-strategy",
    "bad-parameter-type",
    "bad-resume-policy",
    "no-trials",
    "no-parallel-trials",
    "negative-failures",
    "negative-seed",
    "no-objective",
    "no-template",
    "no-metric",
    "parameter-twice",
    "parameter-without-name",
    "no-trial-parameters",
    "no-config-map-name",
    "trial-parameter-with-braces",
    "relative-file",
    "unknown-collector",
    "former-collector",
    "zero-layers",
)


def schema(model: type[Resource]) -> dict[str, Any]:
    found: dict[str, Any] = crd_of(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def test_the_committed_files_are_the_generated_ones() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.glob("*.yaml")}
    assert committed == crd_manifests(), "run `make crds`"


@pytest.mark.parametrize("model", KINDS)
def test_a_file_is_yaml_of_the_definition(model: type[Resource]) -> None:
    text = crd_manifests()[f"kubeflow.org_{model.__name__.lower()}s.yaml"]
    assert yaml.safe_load(text) == crd_of(model)


@pytest.mark.parametrize("model", KINDS)
def test_schemas_are_structural(model: type[Resource]) -> None:
    assert structural_faults(schema(model)) == []


@pytest.mark.parametrize("model", KINDS)
def test_only_free_form_parts_keep_unknown_fields(model: type[Resource]) -> None:
    free = {
        path.rpartition(".")[2]
        for path, node in nodes(schema(model))
        if node.get("x-kubernetes-preserve-unknown-fields")
    }
    assert free <= {"trialSpec", "runSpec", "customCollector"}


@pytest.mark.parametrize("model", KINDS)
def test_names_columns_and_subresources_are_those_clients_expect(model: type[Resource]) -> None:
    spec = crd_of(model)["spec"]
    kind = model.__name__
    assert spec["group"] == "kubeflow.org"
    assert spec["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": f"{kind.lower()}s",
        "singular": kind.lower(),
        "categories": ["all", "kubeflow", "katib"],
    }
    (version,) = spec["versions"]
    assert version["name"] == "v1beta1"
    assert version["subresources"] == {"status": {}}
    columns = [column["name"] for column in version["additionalPrinterColumns"]]
    counts = ["Requested", "Assigned"] if model is Suggestion else []
    assert columns == ["Type", "Status", *counts, "Age"]


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_documented_shapes_fit_the_schema(text: str) -> None:
    (document,) = load_documents(text)
    assert isinstance(document.resource, Experiment)
    for resource in (document.resource, with_defaults(document.resource)):
        assert violations(to_dict(resource), schema(Experiment)) == []


@pytest.mark.parametrize("name", SCHEMA_CATCHES)
def test_what_a_schema_can_see_is_refused_by_the_api_server_already(name: str) -> None:
    (case,) = [case for case in CASES if case.id == name]
    assert violations(yaml.safe_load(case.text), schema(Experiment)) != []


@pytest.mark.parametrize("model", KINDS)
def test_rules_name_fields_that_exist_and_say_what_they_want(model: type[Resource]) -> None:
    for path, node in nodes(schema(model)):
        for entry in node.get("x-kubernetes-validations", ()):
            assert "\n" not in entry["message"]
            assert entry["message"]
            assert entry["rule"].count("(") == entry["rule"].count(")")
            for chain in re.findall(r"(?:\bself|\boldSelf)((?:\.[A-Za-z]+\b(?!\())+)", entry["rule"]):
                where = node
                for name in chain.strip(".").split("."):
                    if path == "" and name == "metadata":
                        break
                    assert name in where.get("properties", {}), (path, entry["rule"], name)
                    where = where["properties"][name]


def test_everything_but_the_budget_is_frozen_and_has_a_description() -> None:
    spec = schema(Experiment)["properties"]["spec"]
    frozen = {
        match[1]
        for entry in spec["x-kubernetes-validations"]
        if (match := re.search(r"has\(oldSelf\.(\w+)\)", entry["rule"]))
    }
    assert set(spec["properties"]) - frozen == {"parallelTrialCount", "maxTrialCount", "maxFailedTrialCount"}
    assert all(node.get("description") for node in spec["properties"].values())
