"""Settings of an algorithm: a frozen dataclass whose fields say type, default, bounds and help.

::

    @dataclass(frozen=True, slots=True)
    class Settings:
        gamma: float = setting(0.25, above=0, below=1, help="share of the good trials")
        random_state: int | None = setting(None, minimum=0, help="seed")

    parse_settings(Settings, {"gamma": "0.3"}).gamma == 0.3

A field may be int, float, bool, str, a StrEnum, or one of these or None, written `None` or `none`.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from katibpy.catalog import nearest
from katibpy.errors import InvalidSettings

_RULE = "katibpy.setting"
_LONG_NUMBER = 8
_NONE_TEXTS = frozenset(("none", "null"))
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_Settings = TypeVar("_Settings")

_KNOWN: dict[type[Any], tuple[_Field, ...]] = {}
"""What was read off each class; a class never changes, so threads may fill it at once."""

REQUIRED: Any = MISSING
"""The default of a setting that the user must write."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting's value must obey, beyond its type.

    Attributes:
        minimum: smallest allowed number.
        maximum: largest allowed number.
        above: the number must be larger than this.
        below: the number must be smaller than this.
        choices: the allowed texts, when they are listed.
        aliases: other names of the same setting.
        help: one line for people.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    help: str = ""

    @property
    def bounds(self) -> str:
        """The limits in words, empty without any."""
        parts = [
            text
            for text, bound in (
                (f"at least {_plain(self.minimum)}", self.minimum),
                (f"above {_plain(self.above)}", self.above),
                (f"at most {_plain(self.maximum)}", self.maximum),
                (f"below {_plain(self.below)}", self.below),
            )
            if bound is not None
        ]
        return " and ".join(parts)

    def admits(self, number: float) -> bool:
        """Whether the number keeps to the limits."""
        return (
            (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as shown to people.

    Attributes:
        name: what to write.
        type: int, float, bool, str, or the choices joined by `|`; with ` or None` where that is allowed.
        default: the default as it would be written, `required` when there is none.
        bounds: the limits in words.
        help: one line.
        rule: the limits themselves, with choices and other names of the setting.
    """

    name: str
    type: str
    default: str
    bounds: str
    help: str
    rule: Rule = field(default_factory=Rule)


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing wrong with the settings.

    Attributes:
        name: the setting, as the user wrote it.
        message: the setting, the rule and the value.
        is_missing: a required setting was not written.
    """

    name: str
    message: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: type[Any]
    is_optional: bool
    default: Any
    rule: Rule


def setting(
    default: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    help: str = "",
) -> Any:
    """Declares a setting as the default of a dataclass field; see `Rule` for the arguments."""
    rule = Rule(minimum, maximum, above, below, choices, aliases, help)
    return field(default=default, metadata={_RULE: rule})


def parse_settings(cls: type[_Settings], settings: Mapping[str, str]) -> _Settings:
    """Reads settings as the user wrote them.

    Raises:
        InvalidSettings: with every unknown name, wrong type, broken rule and missing setting at once.
    """
    values, problems = _read(cls, settings)
    if problems:
        raise InvalidSettings(problem.message for problem in problems)
    return cls(**values)


def setting_problems(cls: type[Any], settings: Mapping[str, str]) -> tuple[SettingProblem, ...]:
    """Everything that `parse_settings` would refuse."""
    return tuple(_read(cls, settings)[1])


def describe_settings(cls: type[Any]) -> tuple[SettingRow, ...]:
    """One row for each setting, in the order of the class."""
    return tuple(
        SettingRow(
            name=item.name,
            type=_type_text(item),
            default="required" if item.default is MISSING else _text(item.default),
            bounds=item.rule.bounds,
            help=item.rule.help,
            rule=item.rule,
        )
        for item in _fields(cls)
    )


def _read(cls: type[Any], settings: Mapping[str, str]) -> tuple[dict[str, Any], list[SettingProblem]]:
    by_name = {name: item for item in _fields(cls) for name in (item.name, *item.rule.aliases)}
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    problems: list[SettingProblem] = []
    for name, text in settings.items():
        item = by_name.get(name)
        if item is None:
            problems.append(SettingProblem(name, _unknown(name, tuple(by_name))))
            continue
        try:
            value = _value(item, text)
        except ValueError as error:
            problems.append(SettingProblem(name, f"setting {name} must be {error}, got {text!r}"))
            continue
        if item.name in written and values[item.name] != value:
            other = written[item.name]
            message = f"settings {other} and {name} mean the same but differ; write one of them, got {text!r}"
            problems.append(SettingProblem(name, message))
            continue
        values[item.name], written[item.name] = value, name
    named = {by_name[name].name for name in settings if name in by_name}
    problems += [
        SettingProblem(item.name, f"setting {item.name} must be given ({_type_text(item)})", is_missing=True)
        for item in _fields(cls)
        if item.default is MISSING and item.name not in named
    ]
    return values, problems


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = nearest(name, known)
    if near is not None:
        return f"setting {name} is not known; did you mean {near}?"
    return f"setting {name} is not known; known settings: {', '.join(known) or 'none'}"


def _value(item: _Field, text: str) -> Any:
    """The typed value; a ValueError says what it must be instead."""
    written = str(text).strip()
    if item.is_optional and written.lower() in _NONE_TEXTS:
        return None
    if item.type is str:
        if item.rule.choices and written not in item.rule.choices:
            raise ValueError(_wanted(item))
        return written
    try:
        if issubclass(item.type, StrEnum):
            return item.type(written)
        if item.type is bool:
            return _BOOLEANS[written.lower()]
        number = item.type(written)
    except (ValueError, KeyError, OverflowError) as error:
        raise ValueError(_wanted(item)) from error
    if not math.isfinite(number) or not item.rule.admits(number):
        raise ValueError(_wanted(item))
    return number


def _wanted(item: _Field) -> str:
    nouns = {int: "a whole number", float: "a number", bool: "true or false"}
    noun = nouns.get(item.type)
    if noun is None:
        choices = _choices(item)
        noun = "one of " + ", ".join(choices) if choices else "text"
    bounds = f" {item.rule.bounds}" if item.rule.bounds else ""
    return f"{noun}{bounds}{' or None' if item.is_optional else ''}"


def _choices(item: _Field) -> tuple[str, ...]:
    if issubclass(item.type, StrEnum):
        return tuple(member.value for member in item.type)
    return item.rule.choices


def _type_text(item: _Field) -> str:
    text = "|".join(_choices(item)) or item.type.__name__
    return f"{text} or None" if item.is_optional else text


def _text(value: Any) -> str:
    if isinstance(value, float) and len(str(value)) > _LONG_NUMBER:
        # A third in all its digits makes lists too wide for a terminal, and tells nobody more.
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"


def _fields(cls: type[Any]) -> tuple[_Field, ...]:
    found = _KNOWN.get(cls)
    if found is None:
        hints = get_type_hints(cls)
        found = tuple(_field(each, hints[each.name]) for each in dataclasses.fields(cls))
        _KNOWN[cls] = found
    return found


def _field(declared: dataclasses.Field[Any], hint: Any) -> _Field:
    is_union = get_origin(hint) in (Union, types.UnionType)
    members = get_args(hint) if is_union else (hint,)
    kinds = [member for member in members if member is not type(None)]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        raise TypeError(f"setting {declared.name} has a type that settings cannot have: {hint}")
    rule = cast("Rule", declared.metadata.get(_RULE, Rule()))
    return _Field(declared.name, kinds[0], len(kinds) < len(members), declared.default, rule)
