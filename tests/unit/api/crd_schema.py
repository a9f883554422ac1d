"""As much of Kubernetes' schema checking as a test of our CRDs needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
FORBIDDEN = {
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "definitions",
    "uniqueItems",
    "patternProperties",
    "$schema",
}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def structural_faults(schema: dict[str, Any]) -> list[str]:
    """Why Kubernetes would not accept a schema as structural."""
    faults = []
    for path, node in nodes(schema):
        faults += [f"{path}: has {word}" for word in FORBIDDEN & set(node)]
        kind = node.get("type")
        if kind is None and not node.get("x-kubernetes-int-or-string"):
            faults.append(f"{path}: has no type")
        if kind is not None and kind not in TYPES:
            faults.append(f"{path}: has type {kind}")
        if kind == "array" and "items" not in node:
            faults.append(f"{path}: has no items")
        if "properties" in node and "additionalProperties" in node:
            faults.append(f"{path}: has both properties and additionalProperties")
        faults += [
            f"{path}: requires {name}, which is no property"
            for name in node.get("required", ())
            if name not in node.get("properties", {})
        ]
        faults += [
            f"{path}: has the key {key}, which its items need not have"
            for key in node.get("x-kubernetes-list-map-keys", ())
            if key not in node["items"].get("required", ())
        ]
        if "default" in node:
            faults += [f"{path}: default {fault}" for fault in violations(node["default"], node)]
    return faults


def violations(value: object, schema: dict[str, Any], path: str = "") -> list[str]:
    """Where a value does not fit a schema; fields that would be pruned count."""
    if value is None and schema.get("nullable"):
        return []
    if schema.get("x-kubernetes-int-or-string"):
        return [] if isinstance(value, int | str) else [f"{path}: {value!r} is no port"]
    kind = schema["type"]
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{path}: {value!r} is no {kind}"]
    faults = []
    if "enum" in schema and value not in schema["enum"]:
        faults.append(f"{path}: {value!r} is none of {schema['enum']}")
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        faults.append(f"{path}: {value} is less than {schema['minimum']}")
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            faults.append(f"{path}: {value!r} has a bad length")
        if not re.search(schema.get("pattern", ""), value):
            faults.append(f"{path}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            faults.append(f"{path}: has a bad number of items")
        for index, item in enumerate(value):
            faults += violations(item, schema["items"], f"{path}[{index}]")
        keys = schema.get("x-kubernetes-list-map-keys", ())
        found = [tuple(item.get(key) for key in keys) for item in value] if keys else []
        if len(set(found)) != len(found):
            faults.append(f"{path}: has two items with the same key")
    if isinstance(value, dict):
        faults += [f"{path}: lacks {name}" for name in schema.get("required", ()) if name not in value]
        for name, item in value.items():
            faults += _member(name, item, schema, f"{path}.{name}")
    return faults


def _member(name: str, item: object, schema: dict[str, Any], path: str) -> list[str]:
    if name in schema.get("properties", {}):
        return violations(item, schema["properties"][name], path)
    if isinstance(schema.get("additionalProperties"), dict):
        return violations(item, schema["additionalProperties"], path)
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == f".metadata.{name}":
        return []
    return [f"{path}: would be pruned"]
