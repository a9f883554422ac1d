"""Values as they were written: what a document holds before anything says which types are wanted.

Types are resolved only when somebody asks a node for its value: a string field takes the text as the user
wrote it (`0.10`, `1e-5`, `yes`), everything else takes what `Scalar.value` makes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""How null is written without quotes."""

_BOOLEANS = {
    spelling: value
    for value, words in ((True, "true yes on"), (False, "false no off"))
    for word in words.split()
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*)")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_INTEGER_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
        text: what is written, without quotes.
        quoted: the text is a string whatever it looks like.
        line: 1-based, or `None` when the source is not text.
        tag: the last part of an explicit YAML tag such as `!!str`.
    """

    text: str
    quoted: bool
    line: int | None
    tag: str | None = None

    @property
    def value(self) -> str | int | float | bool | None:
        """The value in YAML's ordinary meaning, as Kubernetes' parser has it.

        `yes`, `no`, `on`, `off` are booleans, `0o17` and `017` octal; `1e-5` is a number, a date is a
        string, `y` and `1:30` are strings.
        """
        if self.tag == "str" or (self.quoted and self.tag is None):
            return self.text
        return plain_value(self.text)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping and its value."""

    key: str
    line: int | None
    node: Node


@dataclass(slots=True)
class MappingNode:
    """A mapping; a repeated key appears repeatedly. Keys are strings as they were written.

    Attributes:
        line: 1-based.
        entries: what the mapping itself has.
        inherited: mappings after `<<`, which give what it has not; the first one wins.
    """

    line: int | None
    entries: list[Entry] = field(default_factory=list)
    inherited: list[MappingNode] = field(default_factory=list)


@dataclass(slots=True)
class SequenceNode:
    """A list."""

    line: int | None
    items: list[Node] = field(default_factory=list)


Node = Scalar | MappingNode | SequenceNode


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted YAML scalar means."""
    if text in NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _integer(text: str) -> int | float | str:
    digits = text.replace("_", "")
    if len(digits) > _MAX_INTEGER_DIGITS:
        return float(digits) if _DECIMAL.fullmatch(digits) else text
    unsigned = digits.lstrip("+-")
    if unsigned.startswith("0") and unsigned.isdigit() and not set(unsigned) & {"8", "9"}:
        magnitude = int(unsigned, 8)
    elif unsigned.isdigit():
        magnitude = int(unsigned)
    else:
        try:
            magnitude = int(unsigned, 0)
        except ValueError:
            return text
    return -magnitude if digits.startswith("-") else magnitude


def merged_entries(node: MappingNode) -> list[Entry]:
    """The entries of a mapping, inherited ones last; only its own keys may be repeated."""
    if not node.inherited:
        return node.entries
    merged = list(node.entries)
    known = {entry.key for entry in merged}
    for source in node.inherited:
        new = [entry for entry in merged_entries(source) if entry.key not in known]
        known.update(entry.key for entry in new)
        merged += new
    return merged
