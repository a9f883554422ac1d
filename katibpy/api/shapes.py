"""What each field of the resource types holds, read once from the pydantic types.

The codec reads and writes by shapes and the CRD schema is made from them: a field is declared in one place.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from katibpy.api.model import Model


@dataclass(frozen=True, slots=True)
class TextShape:
    """A string."""


@dataclass(frozen=True, slots=True)
class IntegerShape:
    """A whole number."""


@dataclass(frozen=True, slots=True)
class NumberShape:
    """A number."""


@dataclass(frozen=True, slots=True)
class BooleanShape:
    """True or false."""


@dataclass(frozen=True, slots=True)
class TimeShape:
    """A moment, written as in RFC 3339."""


@dataclass(frozen=True, slots=True)
class PortShape:
    """A port: its number or its name."""


@dataclass(frozen=True, slots=True)
class FreeShape:
    """Any mapping; katibpy does not know its fields."""


@dataclass(frozen=True, slots=True)
class WordShape:
    """One fixed word."""

    word: str


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list."""

    item: Shape


@dataclass(frozen=True, slots=True)
class MapShape:
    """A mapping with keys of the user's choice."""

    value: Shape


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A mapping with the fields of a resource type."""

    model: type[Model]


Shape = (
    TextShape
    | IntegerShape
    | NumberShape
    | BooleanShape
    | TimeShape
    | PortShape
    | FreeShape
    | WordShape
    | ListShape
    | MapShape
    | ModelShape
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a resource type.

    Attributes:
        name: the Python attribute.
        alias: the name in YAML.
        required: there is no default.
        default: what the attribute holds when nothing was said; made anew for mutable ones.
    """

    name: str
    alias: str
    shape: Shape
    required: bool
    default: Any


@cache
def fields_of(model: type[Model]) -> Mapping[str, Field]:
    """The fields of a resource type by their name in YAML, in order."""
    return {field.alias: field for field in (_field(name, info) for name, info in model.model_fields.items())}


def _field(name: str, info: FieldInfo) -> Field:
    annotation: Any = info.annotation
    if info.metadata:
        annotation = Annotated[(annotation, *info.metadata)]
    return Field(
        name=name,
        alias=info.alias or name,
        shape=_shape(annotation),
        required=info.is_required(),
        default=None if info.is_required() else info.get_default(call_default_factory=True),
    )


_SIMPLE: Mapping[Any, Shape] = {
    str: TextShape(),
    int: IntegerShape(),
    float: NumberShape(),
    bool: BooleanShape(),
    datetime: TimeShape(),
}


def _shape(annotation: Any) -> Shape:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (types.UnionType, Union):
        kinds = [argument for argument in arguments if argument is not type(None)]
        return PortShape() if set(kinds) == {int, str} else _shape(kinds[0])
    if origin is Literal:
        return WordShape(arguments[0])
    if origin is tuple:
        return ListShape(_shape(arguments[0]))
    if origin is dict:
        return FreeShape() if arguments[1] is Any else MapShape(_shape(arguments[1]))
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return ModelShape(annotation)
    raise TypeError(f"resource types must not hold {annotation!r}")
