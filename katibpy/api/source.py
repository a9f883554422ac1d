"""Reads YAML or JSON text into nodes, within limits that keep hostile text from doing harm."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from katibpy.api.nodes import NULLS, Entry, MappingNode, Node, Scalar, SequenceNode
from katibpy.errors import ParseError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 300_000
MAX_ALIASED_VALUES = 100_000
"""How many values aliases may add in all; a bomb of a few lines would add billions."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_YAML_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")
_MAX_INTEGER_BITS = 4096
_QUOTES = frozenset("'\"|>")
_TAG = "tag:yaml.org,2002:"


def read_documents(text: str | bytes) -> list[Node]:
    """The documents of a YAML or JSON text; empty ones are left out.

    Raises:
        ParseError: the text is no YAML or JSON, or exceeds a limit; the message has line and column.
    """
    if len(text) > MAX_BYTES:
        raise ParseError(f"must be at most {MAX_BYTES // 2**20} MiB, got {len(text) / 2**20:.0f} MiB")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        text.encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise ParseError(f"must be UTF-8 text, got a bad byte or character at offset {error.start}") from None
    looks_like_json = text.lstrip()[:1] in ("{", "[")
    if looks_like_json and _YAML_LINE_BREAKS.search(text):
        # YAML would take these for line breaks inside a string and fold them.
        try:
            return [_from_json(text)]
        except ParseError:
            looks_like_json = False
    loader = _LOADER(text)
    try:
        return list(_Builder(loader).documents())
    except yaml.YAMLError as error:
        # JSON that YAML 1.1 cannot read: tabs, surrogate pairs, very long keys. It loses its line numbers.
        if looks_like_json:
            return [_from_json(text)]
        raise _syntax_error(error) from None
    finally:
        loader.dispose()


def _syntax_error(error: yaml.YAMLError) -> ParseError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        context = f" ({error.context})" if error.context else ""
        return ParseError(f"{where}must be YAML or JSON, but {error.problem}{context}")
    return ParseError(f"must be YAML or JSON, but {' '.join(str(error).split())}")


def from_python(value: object, depth: int = 0) -> Node:
    """Nodes for parsed JSON, so that it goes the same way as text; lines are unknown.

    Raises:
        ParseError: it is nested too deeply or holds something that JSON has not.
    """
    if depth > MAX_DEPTH:
        raise ParseError(f"must not be nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        entries = [Entry(str(key), None, from_python(child, depth + 1)) for key, child in value.items()]
        return MappingNode(None, entries)
    if isinstance(value, list | tuple):
        return SequenceNode(None, [from_python(child, depth + 1) for child in value])
    if isinstance(value, _Pairs):
        entries = [Entry(key, None, from_python(child, depth + 1)) for key, child in value.pairs]
        return MappingNode(None, entries)
    if isinstance(value, _Number):
        return Scalar(value.text, False, None)
    if isinstance(value, str):
        return Scalar(str(value), True, None)
    if value is None:
        return Scalar("null", False, None)
    if isinstance(value, bool):
        return Scalar("true" if value else "false", False, None)
    if isinstance(value, int):
        if value.bit_length() > _MAX_INTEGER_BITS:
            raise ParseError(
                f"must hold integers of at most {_MAX_INTEGER_BITS} bits, got one of {value.bit_length()}"
            )
        return Scalar(str(int(value)), False, None)
    if isinstance(value, float):
        return Scalar(_decimal(float(value)), False, None)
    raise ParseError(f"must hold nothing but what JSON has, got a {type(value).__name__}")


def _decimal(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")


@dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class _Number:
    text: str


def _from_json(text: str) -> Node:
    try:
        parsed = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        where = f"line {error.lineno}, column {error.colno}"
        raise ParseError(f"{where}: must be YAML or JSON, but {problem}") from None
    except RecursionError:
        raise ParseError(f"must not be nested deeper than {MAX_DEPTH} levels") from None
    return from_python(parsed)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet, with what it costs to expand it."""

    node: MappingNode | SequenceNode
    anchor: str | None
    key: Scalar | None = None
    values: int = 1
    height: int = 1


class _Builder:
    """Builds nodes from parser events, in a loop: the C parser's own composer recurses until it crashes."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._values = 0
        self._aliased = 0
        self._done: Node | None = None

    def documents(self) -> Iterator[Node]:
        while self._loader.check_event():
            event = self._loader.get_event()
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.MappingStartEvent():
                    self._start(event, MappingNode(_line(event)))
                case yaml.SequenceStartEvent():
                    self._start(event, SequenceNode(_line(event)))
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentEndEvent():
                    if self._done is not None and not _is_empty(self._done):
                        yield self._done
                    self._done = None
                    self._anchors.clear()

    def _scalar(self, event: Any) -> None:
        tag = _tag(event)
        node = Scalar(event.value, event.style in _QUOTES or tag == "", _line(event), tag or None)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        self._add(node, 1, 0, event)

    def _start(self, event: Any, node: MappingNode | SequenceNode) -> None:
        _tag(event)
        if len(self._stack) >= MAX_DEPTH:
            raise ParseError(f"{_where(event)}must not be nested deeper than {MAX_DEPTH} levels")
        if self._stack and isinstance(self._stack[-1].node, MappingNode) and self._stack[-1].key is None:
            raise _bad_key(event)
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(node, event.anchor))

    def _end(self) -> None:
        done = self._stack.pop()
        if done.anchor:
            self._anchors[done.anchor] = (done.node, done.values, done.height)
        self._add(done.node, done.values, done.height, None)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise ParseError(f"{_where(event)}must use anchors that are complete before, got *{event.anchor}")
        node, values, height = self._anchors[event.anchor]
        self._aliased += values
        if self._aliased > MAX_ALIASED_VALUES:
            raise ParseError(
                f"{_where(event)}must not repeat more than {MAX_ALIASED_VALUES} values with aliases; "
                "write the values out"
            )
        if len(self._stack) + height > MAX_DEPTH:
            raise ParseError(
                f"{_where(event)}must not be nested deeper than {MAX_DEPTH} levels, aliases included"
            )
        self._add(node, values, height, event)

    def _add(self, node: Node, values: int, height: int, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ParseError(f"must hold at most {MAX_VALUES} values, got more")
        if not self._stack:
            self._done = node
            return
        parent = self._stack[-1]
        parent.values += values
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node, SequenceNode):
            parent.node.items.append(node)
        elif parent.key is None:
            if not isinstance(node, Scalar):
                raise _bad_key(event)
            parent.key = node
        else:
            key, parent.key = parent.key, None
            if key.text == "<<" and not key.quoted:
                _merge(parent.node, node)
            else:
                parent.node.entries.append(Entry(key.text, key.line, node))


def _merge(target: MappingNode, node: Node) -> None:
    for source in node.items if isinstance(node, SequenceNode) else [node]:
        if not isinstance(source, MappingNode):
            raise ParseError(f"line {target.line}: must have a mapping or a list of mappings after `<<`")
        target.inherited.append(source)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _where(event: Any) -> str:
    return "" if event is None else f"line {_line(event)}, column {event.start_mark.column + 1}: "


def _bad_key(event: Any) -> ParseError:
    return ParseError(f"{_where(event)}must have keys that are plain text, got a list or mapping as a key")


def _tag(event: Any) -> str | None:
    """The name of an explicit standard tag, `""` for the bare `!`, `None` without one."""
    tag = event.tag
    if tag is None:
        return None
    if tag == "!":
        return ""
    name = str(tag).removeprefix(_TAG)
    if tag == name or name not in ("str", "int", "float", "bool", "null", "map", "seq"):
        raise ParseError(f"{_where(event)}must not have the tag {tag!r}; only plain YAML values are read")
    return name


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.quoted and node.text in NULLS
