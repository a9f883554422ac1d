"""Writes resources the way Kubernetes and Katib do: camelCase, without fields that say nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import yaml

from katibpy.api.model import Model, Resource, format_time
from katibpy.api.nodes import plain_value
from katibpy.api.shapes import ListShape, MapShape, ModelShape, Shape, TimeShape, fields_of

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ENDLESS = 2**31 - 1
_Writer = Callable[[Any], Any]


def to_dict(value: Model, *, status: bool = True) -> dict[str, Any]:
    """Plain data of a resource or a part of one, as JSON can hold it.

    Fields at their default are left out where the reader would put the same default. Free-form parts
    such as `trialSpec` are not copied: do not change the result in place.

    Args:
        value: what to write.
        status: whether a resource's status is written; without it the result is what a user would submit.
    """
    data = _model_writer(type(value))(value)
    if not status and isinstance(value, Resource):
        data.pop("status", None)
    return data


def dump_json(value: Model | Mapping[str, Any], *, indent: int | None = 2) -> str:
    """JSON text of a resource, a part of one, or of plain data."""
    data = to_dict(value) if isinstance(value, Model) else value
    return json.dumps(data, indent=indent, ensure_ascii=False)


def dump_yaml(value: Model | Mapping[str, Any]) -> str:
    """YAML text of a resource, a part of one, or plain data; every YAML reader gets the same values back."""
    data = to_dict(value) if isinstance(value, Model) else value
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_ENDLESS
    )
    return text


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Quotes every string that some YAML reader would take for something else; writes no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_AMBIGUOUS = frozenset({"y", "Y", "n", "N", "<<", "="})


def _represent_text(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text and "\r" not in text:
        style = "|"
    elif not isinstance(plain_value(text), str) or text in _AMBIGUOUS:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(tuple, _DUMPER.represent_list)


@cache
def _model_writer(model: type[Model]) -> Callable[[Any], dict[str, Any]]:
    plan = tuple(
        (
            field.name,
            alias,
            _writer(field.shape),
            _UNEQUAL if alias in model.always_written or field.required else field.default,
        )
        for alias, field in fields_of(model).items()
    )

    def write(value: Any) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name, alias, writer, default in plan:
            content = getattr(value, name)
            if content is None or content == default:
                continue
            data[alias] = content if writer is None else writer(content)
        if value.model_extra:
            data.update(value.model_extra)
        return data

    return write


class _Unequal:
    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


_UNEQUAL = _Unequal()


def _writer(shape: Shape) -> _Writer | None:
    """How a value is written; `None` when it is written as it is."""
    match shape:
        case ModelShape(model):
            # Looked up late: a model may be used before all that it refers to has been seen.
            return lambda value: _model_writer(model)(value)
        case TimeShape():
            return _time
        case ListShape(item):
            each = _writer(item)
            return list if each is None else lambda values: [each(value) for value in values]
        case MapShape():
            return dict
    return None


def _time(moment: datetime) -> str:
    return format_time(moment)
