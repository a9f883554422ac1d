"""The CustomResourceDefinitions of the three kinds, generated from the types."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from katibpy.api.crd_rules import RULES, ModelRules
from katibpy.api.encode import dump_yaml
from katibpy.api.experiment import Experiment
from katibpy.api.model import API_VERSION, Model, Resource
from katibpy.api.shapes import (
    BooleanShape,
    FreeShape,
    IntegerShape,
    ListShape,
    MapShape,
    ModelShape,
    NumberShape,
    PortShape,
    Shape,
    TimeShape,
    fields_of,
)
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial

GROUP, VERSION = API_VERSION.split("/")
HEADER = "# Generated from the types in katibpy/api by deploy/generate_crds.py; change those instead.\n"

_KEYED_BY_NAME = frozenset(
    {
        "algorithmSettings",
        "metricStrategies",
        "metrics",
        "parameterAssignments",
        "parameters",
        "trialParameters",
    }
)
"""Lists whose items have a unique name, so that server-side apply merges them by it."""

_CONDITION_COLUMNS = (
    {"name": "Type", "type": "string", "jsonPath": ".status.conditions[-1:].type"},
    {"name": "Status", "type": "string", "jsonPath": ".status.conditions[-1:].status"},
)
_SUGGESTION_COLUMNS = (
    {"name": "Requested", "type": "integer", "jsonPath": ".spec.requests"},
    {"name": "Assigned", "type": "integer", "jsonPath": ".status.suggestionCount"},
)
_AGE_COLUMN = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def crd_manifests() -> dict[str, str]:
    """File name and YAML text of each CustomResourceDefinition."""
    return {
        f"{GROUP}_{model.__name__.lower()}s.yaml": HEADER + dump_yaml(crd_of(model))
        for model in (Experiment, Suggestion, Trial)
    }


def crd_of(model: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind as plain data."""
    kind = model.__name__
    singular = kind.lower()
    columns = (*_CONDITION_COLUMNS, *(_SUGGESTION_COLUMNS if model is Suggestion else ()), _AGE_COLUMN)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{singular}s",
                "singular": singular,
                "categories": ["all", "kubeflow", "katib"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [dict(column) for column in columns],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": _root(model)},
                }
            ],
        },
    }


def _root(model: type[Resource]) -> dict[str, Any]:
    schema = _model(model)
    # The API server owns these three and refuses to have them described in more detail.
    for name, kind in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        schema["properties"][name] = {"type": kind}
    return schema


def _model(model: type[Model]) -> dict[str, Any]:
    rules = RULES.get(model, ModelRules())
    schema: dict[str, Any] = {"type": "object", "description": _summary(model)}
    if rules.required:
        schema["required"] = list(rules.required)
    schema["properties"] = {
        alias: _merged(_field(alias, field.shape), rules.fields.get(alias, {}))
        for alias, field in fields_of(model).items()
    }
    if rules.rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule.rule, "message": rule.message} for rule in rules.rules
        ]
    return schema


def _field(alias: str, shape: Shape) -> dict[str, Any]:
    schema = _schema(shape)
    if isinstance(shape, ListShape) and alias in _KEYED_BY_NAME:
        schema["x-kubernetes-list-type"] = "map"
        schema["x-kubernetes-list-map-keys"] = ["name"]
        schema["items"].setdefault("required", ["name"])
    return schema


def _schema(shape: Shape) -> dict[str, Any]:
    match shape:
        case ModelShape(model):
            return _model(model)
        case ListShape(item):
            return {"type": "array", "items": _schema(item)}
        case MapShape(value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case FreeShape():
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case IntegerShape():
            return {"type": "integer"}
        case NumberShape():
            return {"type": "number"}
        case BooleanShape():
            return {"type": "boolean"}
        case TimeShape():
            # Clients written in Go send null for a time that is not set.
            return {"type": "string", "format": "date-time", "nullable": True}
        case PortShape():
            return {"x-kubernetes-int-or-string": True}
    return {"type": "string"}


def _merged(schema: dict[str, Any], additions: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(schema)
    for key, value in additions.items():
        merged[key] = {**merged.get("items", {}), **value} if key == "items" else value
    return merged


def _summary(model: type[Model]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
