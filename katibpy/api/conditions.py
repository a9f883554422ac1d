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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

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

# `dict` first: it is what a parsed document has, and far sooner told than any other Mapping.
_OBJECT = (dict, Mapping)
_LIST = (list, tuple)

_Follow: TypeAlias = Callable[[object], object]
"""What a value's path leads to, `_MISSING` where it leads nowhere."""


@dataclass(frozen=True, slots=True)
class Match:
    """The condition holds; what the matched entry says about why, empty where it says nothing."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; immutable, to be kept and evaluated for many documents."""

    text: str
    _follow: _Follow = field(compare=False, repr=False)

    def evaluate(self, document: Mapping[str, Any]) -> Match | None:
        """Whether the condition holds for a parsed JSON document; `None` when it does not.

        Never raises, whatever the document holds.
        """
        found = self._follow(document)
        if found is True:
            return Match()
        if isinstance(found, _LIST):
            if not found:
                return None
            found = found[0]
        elif not isinstance(found, _OBJECT):
            return None
        if not isinstance(found, _OBJECT):
            return Match()
        return Match(reason=_word(found.get("reason")), message=_word(found.get("message")))


def compile_condition(text: str) -> Condition:
    """Read a success or failure condition.

    Raises:
        ParseError: the text is not of this language; the message says where and what was expected.
    """
    return Condition(text, _path(parse_path(text)))


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


# A path becomes a function that calls the function of what follows: conditions are asked of every trial
# several times, and walking through the parsed path each time took ten times as long.


def _path(path: Path) -> _Follow:
    stages = [_steps(stage) for stage in path.stages]
    if len(stages) == 1:
        return stages[0]

    def follow(value: object) -> object:
        for stage in stages:
            value = stage(value)
            if value is _MISSING:
                break
        return value

    return follow


def _steps(steps: Sequence[Step]) -> _Follow:
    """What the steps lead to, `_MISSING` where one of them leads nowhere."""
    follow: _Follow = _itself
    for step in reversed(steps):
        is_last = follow is _itself
        match step:
            case All(None) if is_last:
                follow = _number_of_items
            case All(test):
                follow = _every(test, follow)
            case First(test):
                follow = _first(test, follow)
            case Key():
                follow = _child(step, follow)
            case Collect(paths):
                follow = _then(_collected([_path(path) for path in paths]), follow)
            case Modifier():
                follow = _then(partial(_modified, step), follow)
    return follow


def _itself(value: object) -> object:
    return value


def _then(step: _Follow, follow: _Follow) -> _Follow:
    def both(value: object) -> object:
        found = step(value)
        return found if found is _MISSING else follow(found)

    return both


def _number_of_items(value: object) -> object:
    return len(value) if isinstance(value, _LIST) else _MISSING


def _every(test: Comparison | None, follow: _Follow) -> _Follow:
    holds = None if test is None else _holds(test)

    def every(value: object) -> object:
        if not isinstance(value, _LIST):
            return _MISSING
        results = [follow(item) for item in value if holds is None or holds(item)]
        return [result for result in results if result is not _MISSING]

    return every


def _first(test: Comparison, follow: _Follow) -> _Follow:
    holds = _holds(test)

    def first(value: object) -> object:
        for item in _items(value):
            if holds(item):
                return follow(item)
        return _MISSING

    return first


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, _LIST) else ()


def _child(key: Key, follow: _Follow) -> _Follow:
    text, index = key.text, key.index

    def child(value: object) -> object:
        found: object = _MISSING
        if isinstance(value, _OBJECT):
            if not key.is_pattern:
                found = value.get(text, _MISSING)
            else:
                fits = (item for name, item in value.items() if isinstance(name, str) and _fits(name, text))
                found = next(fits, _MISSING)
        elif isinstance(value, _LIST) and index is not None and index < len(value):
            found = value[index]
        return found if found is _MISSING else follow(found)

    return child


def _collected(paths: Sequence[_Follow]) -> _Follow:
    def collected(value: object) -> object:
        gathered = [follow(value) for follow in paths]
        return [result for result in gathered if result is not _MISSING]

    return collected


def _modified(modifier: Modifier, value: object) -> object:
    match modifier:
        case Modifier.THIS:
            return value
        case Modifier.KEYS:
            return list(value) if isinstance(value, Mapping) else _MISSING
        case Modifier.VALUES:
            return list(value.values()) if isinstance(value, Mapping) else list(_items(value))
        case Modifier.REVERSE:
            return list(value)[::-1] if isinstance(value, _LIST) else value
        case Modifier.FLATTEN:
            if not isinstance(value, _LIST):
                return value
            return [leaf for item in value for leaf in (item if isinstance(item, list | tuple) else (item,))]


def _holds(test: Comparison) -> Callable[[object], bool]:
    follow, operator, text = _path(test.path), test.operator, test.text
    if operator is None:
        return lambda item: follow(item) is not _MISSING

    def holds(item: object) -> bool:
        value = follow(item)
        if operator == "==" and isinstance(value, str):
            return value == text
        return value is not _MISSING and _compare(value, operator, test)

    return holds


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
