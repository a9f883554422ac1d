r"""Success and failure conditions: the part of GJSON's path language that tells the state of a job.

A condition is a path into the job object, for example
`status.conditions.#(type=="Complete")#|#(status=="True")#`. It holds when the path leads to an object, to a
non-empty list or to `true`; a missing path means it does not hold.

What a path may contain:

====================  ====================================================================================
`a.b`                 key `b` of key `a`; `\` takes the next character literally; `*` and `?` are wildcards
`0`                   the first item of a list
`#`                   every item, with what follows `.` applied to each; at the end: the number of items
`#(path op literal)`  the first item for which the comparison holds; `#(path)`: for which the path exists
`#(...)#`             every such item; what follows `.` is applied to each of them
`a|b`                 like `a.b`, but `b` is applied to the whole result, not to each of its items
`[a,b]`               a list of the results of `a` and `b`
`@this`               the value itself; also `@values`, `@keys`, `@flatten`, `@reverse`
====================  ====================================================================================

Operators are `== != < <= > >=` and `% !%` (wildcard match and its opposite). A literal is a string in double
quotes, a number, `true`, `false`, `null` or a bare word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from katibpy.api.condition_syntax import (
    All,
    Collect,
    Comparison,
    First,
    Key,
    Modifier,
    Path,
    Step,
    parse_path,
)


class _Missing:
    """There is nothing at the path."""


_MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Match:
    """The condition holds; what the matched entry says about why, empty where it says nothing."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; immutable, to be kept and evaluated for many documents."""

    text: str
    path: Path

    def evaluate(self, document: Mapping[str, Any]) -> Match | None:
        """Whether the condition holds for a parsed JSON document; `None` when it does not.

        Never raises, whatever the document holds.
        """
        found = _follow(self.path, document)
        if found is True:
            return Match()
        if isinstance(found, list | tuple):
            if not found:
                return None
            found = found[0]
        elif not isinstance(found, Mapping):
            return None
        if not isinstance(found, Mapping):
            return Match()
        return Match(reason=_word(found.get("reason")), message=_word(found.get("message")))


def compile_condition(text: str) -> Condition:
    """Read a success or failure condition.

    Raises:
        ParseError: the text is not of this language; the message says where and what was expected.
    """
    return Condition(text, parse_path(text))


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _follow(path: Path, value: object) -> object:
    for stage in path.stages:
        value = _walk(stage, 0, value)
        if value is _MISSING:
            return _MISSING
    return value


def _walk(steps: Sequence[Step], start: int, value: object) -> object:
    for position in range(start, len(steps)):
        step = steps[position]
        match step:
            case Key():
                value = _child(step, value)
            case First(test):
                value = next((item for item in _items(value) if _holds(test, item)), _MISSING)
            case All(test):
                if not isinstance(value, list | tuple):
                    return _MISSING
                if test is None and position + 1 == len(steps):
                    return len(value)
                kept = value if test is None else [item for item in value if _holds(test, item)]
                results = [_walk(steps, position + 1, item) for item in kept]
                return [result for result in results if result is not _MISSING]
            case Collect(paths):
                gathered = [_follow(path, value) for path in paths]
                value = [result for result in gathered if result is not _MISSING]
            case Modifier():
                value = _modified(step, value)
        if value is _MISSING:
            return _MISSING
    return value


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _child(key: Key, value: object) -> object:
    if isinstance(value, Mapping):
        if not key.is_pattern:
            return value.get(key.text, _MISSING)
        fitting = (child for name, child in value.items() if isinstance(name, str) and _fits(name, key.text))
        return next(fitting, _MISSING)
    if isinstance(value, list | tuple) and key.index is not None and key.index < len(value):
        return value[key.index]
    return _MISSING


def _modified(modifier: Modifier, value: object) -> object:
    match modifier:
        case Modifier.THIS:
            return value
        case Modifier.KEYS:
            return list(value) if isinstance(value, Mapping) else _MISSING
        case Modifier.VALUES:
            return list(value.values()) if isinstance(value, Mapping) else list(_items(value))
        case Modifier.REVERSE:
            return list(value)[::-1] if isinstance(value, list | tuple) else value
        case Modifier.FLATTEN:
            if not isinstance(value, list | tuple):
                return value
            return [leaf for item in value for leaf in (item if isinstance(item, list | tuple) else (item,))]


def _holds(test: Comparison, item: object) -> bool:
    value = _follow(test.path, item)
    if value is _MISSING:
        return False
    if test.operator is None:
        return True
    return _compare(value, test.operator, test)


def _compare(value: object, operator: str, test: Comparison) -> bool:
    # The type of the document's value decides how the literal is read, as in GJSON.
    if value is None:
        return operator == "==" and test.text == "null" and not test.quoted
    if isinstance(value, str):
        if operator == "%":
            return _fits(value, test.text)
        if operator == "!%":
            return not _fits(value, test.text)
        return _ordered(value, operator, test.text)
    if isinstance(value, bool):
        if test.text in ("true", "false"):
            return _ordered(value, operator, test.text == "true")
        return operator == "!="
    if isinstance(value, int | float):
        if test.number is None:
            return operator == "!="
        return _ordered(value, operator, test.number)
    return False


def _ordered(left: Any, operator: str, right: Any) -> bool:
    match operator:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
    return False


def _fits(text: str, pattern: str) -> bool:
    """Wildcard match in time O(len(text) * len(pattern)): only the last `*` is ever tried again."""
    at = here = 0
    star = retry = -1
    while at < len(text):
        if here < len(pattern) and pattern[here] == "*":
            star, retry = here, at
            here += 1
            continue
        escaped = here + 1 < len(pattern) and pattern[here] == "\\"
        wanted = pattern[here + 1] if escaped else pattern[here : here + 1]
        if wanted and (wanted == text[at] or (wanted == "?" and not escaped)):
            here += 2 if escaped else 1
            at += 1
        elif star >= 0:
            retry += 1
            at, here = retry, star + 1
        else:
            return False
    return not pattern[here:].strip("*")
