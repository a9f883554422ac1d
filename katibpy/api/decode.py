"""Turns nodes into plain data of the right types, with every problem and the line of every field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from katibpy.api.model import Model, ObjectMeta
from katibpy.api.nodes import Entry, MappingNode, Node, Scalar, SequenceNode, merged_entries
from katibpy.api.paths import child_path, nearest
from katibpy.api.shapes import (
    BooleanShape,
    Field,
    FreeShape,
    IntegerShape,
    ListShape,
    MapShape,
    ModelShape,
    NumberShape,
    PortShape,
    Shape,
    TextShape,
    TimeShape,
    WordShape,
    fields_of,
)
from katibpy.errors import FieldError

KUBERNETES_METADATA = frozenset(
    {"clusterName", "deletionGracePeriodSeconds", "managedFields", "selfLink"},
)
"""Fields of `metadata` that Kubernetes writes and katibpy only keeps."""

_MAX_INTEGER = 2**63 - 1
_MAX_SHOWN = 80
_UNSET = object()


class Decoder:
    """Reads one document. Problems are collected, never raised.

    Attributes:
        errors: what is wrong so far.
        lines: path of each field and item, and the line it starts on.
    """

    def __init__(self, root: type[Model], *, allow_unknown: bool) -> None:
        self.errors: list[FieldError] = []
        self.lines: dict[str, int] = {}
        self._root = root
        self._allow_unknown = allow_unknown

    def model(self, node: Node, model: type[Model], path: str) -> dict[str, Any]:
        """Data for `model.model_validate`, by names in YAML."""
        if not isinstance(node, MappingNode):
            self._wrong(path, node, "a mapping")
            return {}
        fields = fields_of(model)
        data: dict[str, Any] = {}
        for entry in self._entries(node, path):
            where = child_path(path, entry.key)
            field = fields.get(entry.key)
            if field is not None:
                value = self.value(entry.node, field.shape, where)
                if value is not _UNSET:
                    data[entry.key] = value
            elif self._allow_unknown or (model is ObjectMeta and entry.key in KUBERNETES_METADATA):
                data[entry.key] = self.free(entry.node, where)
            else:
                self._unknown(entry, model, path, given=[each.key for each in node.entries])
        self._missing(fields, data, node, path)
        return data

    def value(self, node: Node, shape: Shape, path: str) -> Any:
        """The value of a field; `_UNSET` for null, or when it is wrong and an error was noted."""
        if isinstance(node, Scalar) and node.value is None:
            return _UNSET
        match shape:
            case ModelShape(model):
                return self.model(node, model, path)
            case FreeShape():
                return (
                    self.free(node, path)
                    if isinstance(node, MappingNode)
                    else self._wrong(path, node, "a mapping")
                )
            case ListShape(item):
                return self._list(node, item, path)
            case MapShape(value):
                return self._map(node, value, path)
        return self._scalar(node, shape, path)

    def free(self, node: Node, path: str) -> Any:
        """A value that katibpy does not know the type of, as Kubernetes would read it."""
        match node:
            case MappingNode():
                return {
                    entry.key: self.free(entry.node, child_path(path, entry.key))
                    for entry in self._entries(node, path)
                }
            case SequenceNode():
                return [self.free(item, where) for where, item in self._items(node, path)]
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            self._wrong(path, node, "a value that JSON can hold (quote it to keep it as a string)")
        return value

    def _entries(self, node: MappingNode, path: str) -> Iterator[Entry]:
        first: dict[str, int | None] = {}
        for entry in merged_entries(node):
            where = child_path(path, entry.key)
            if entry.key in first:
                before = first[entry.key]
                seen = "" if before is None else f", first on line {before}"
                self.errors.append(FieldError(where, f"is given twice{seen}; keep one of them", entry.line))
                continue
            first[entry.key] = entry.line
            if entry.line is not None:
                self.lines[where] = entry.line
            yield entry

    def _items(self, node: SequenceNode, path: str) -> Iterator[tuple[str, Node]]:
        for index, item in enumerate(node.items):
            where = f"{path}[{index}]"
            if item.line is not None:
                self.lines[where] = item.line
            yield where, item

    def _list(self, node: Node, shape: Shape, path: str) -> Any:
        if not isinstance(node, SequenceNode):
            return self._wrong(path, node, "a list")
        values = []
        for where, item in self._items(node, path):
            value = self.value(item, shape, where)
            if value is _UNSET:
                if isinstance(item, Scalar) and item.value is None:
                    self._wrong(where, item, _described(shape))
                continue
            values.append(value)
        return values

    def _map(self, node: Node, shape: Shape, path: str) -> Any:
        if not isinstance(node, MappingNode):
            return self._wrong(path, node, "a mapping")
        data = {}
        for entry in self._entries(node, path):
            where = child_path(path, entry.key)
            value = self.value(entry.node, shape, where)
            if value is not _UNSET:
                data[entry.key] = value
            elif isinstance(entry.node, Scalar) and entry.node.value is None:
                self._wrong(where, entry.node, _described(shape))
        return data

    def _scalar(self, node: Node, shape: Shape, path: str) -> Any:
        if not isinstance(node, Scalar):
            return self._wrong(path, node, _described(shape))
        value = node.value
        match shape:
            case TextShape():
                return node.text
            case IntegerShape():
                if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
                    return value
            case NumberShape():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return float(value) if abs(value) <= _MAX_INTEGER or isinstance(value, float) else value
            case BooleanShape():
                if isinstance(value, bool):
                    return value
            case PortShape():
                if isinstance(value, int | str) and not isinstance(value, bool):
                    return value
            case TimeShape():
                moment = _moment(node.text)
                if moment is not None:
                    return moment
            case WordShape(word):
                if node.text == word:
                    return word
        return self._wrong(path, node, _described(shape))

    def _wrong(self, path: str, node: Node, expected: str) -> Any:
        hint = ""
        if (
            isinstance(node, Scalar)
            and node.quoted
            and expected in ("an integer", "a number", "true or false")
        ):
            unquoted = Scalar(node.text, False, None).value
            if isinstance(unquoted, int | float):
                hint = "; remove the quotes"
        self.errors.append(FieldError(path, f"must be {expected}, got {shown(node)}{hint}", node.line))
        return _UNSET

    def _unknown(self, entry: Entry, model: type[Model], path: str, given: list[str]) -> None:
        fields = fields_of(model)
        found = nearest(entry.key, [name for name in fields if name not in given])
        hint = f"; did you mean `{found}`?" if found else ""
        if not hint:
            homes = _homes(self._root).get(entry.key, ())
            if 0 < len(homes) <= 2:
                hint = f"; it belongs in {' or '.join(homes)}"
        owner = path or self._root.__name__
        where = child_path(path, entry.key)
        self.errors.append(FieldError(where, f"is not a field of {owner}{hint}", entry.line))

    def _missing(
        self, fields: Mapping[str, Field], data: Mapping[str, Any], node: MappingNode, path: str
    ) -> None:
        tried = {entry.key for entry in merged_entries(node)}
        for alias, field in fields.items():
            if field.required and alias not in data and (alias not in tried or _is_null(node, alias)):
                where = child_path(path, alias)
                self.errors.append(FieldError(where, "must be present, got nothing", node.line))


def read_free(node: Node, path: str) -> tuple[Any, list[FieldError]]:
    """A document of a kind that is none of ours, and what is wrong with it."""
    decoder = Decoder(Model, allow_unknown=True)
    return decoder.free(node, path), decoder.errors


def shown(node: Node) -> str:
    """A value for an error message."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
    if not node.quoted and node.value is None:
        return "null"
    text = node.text if len(node.text) <= _MAX_SHOWN else node.text[:_MAX_SHOWN] + "..."
    return repr(text) if node.quoted or isinstance(node.value, str) else text


def _is_null(node: MappingNode, key: str) -> bool:
    return any(
        entry.key == key and isinstance(entry.node, Scalar) and entry.node.value is None
        for entry in node.entries
    )


def _described(shape: Shape) -> str:
    match shape:
        case TextShape():
            return "a string"
        case IntegerShape():
            return "an integer"
        case NumberShape():
            return "a number"
        case BooleanShape():
            return "true or false"
        case TimeShape():
            return "a time such as 2026-01-31T12:00:00Z"
        case PortShape():
            return "a port number or name"
        case WordShape(word):
            return repr(word)
        case ListShape():
            return "a list"
    return "a mapping"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@cache
def _homes(root: type[Model]) -> Mapping[str, tuple[str, ...]]:
    """Where each field name of a resource may stand, for those who put it one level too high or low."""
    homes: dict[str, tuple[str, ...]] = {}

    def visit(model: type[Model], path: str) -> None:
        for alias, field in fields_of(model).items():
            homes[alias] = (*homes.get(alias, ()), path or root.__name__)
            shape, suffix = field.shape, ""
            if isinstance(shape, ListShape):
                shape, suffix = shape.item, "[]"
            if isinstance(shape, ModelShape):
                visit(shape.model, child_path(path, alias) + suffix)

    visit(root, "")
    return homes
