"""Metrics in lines of text that regular expressions of the user describe.

The expressions are those of Katib, in Go's RE2 syntax: the first group is the name, the second the value;
every expression is applied to every line that holds a wanted name. What RE2 writes otherwise than Python is
put into Python's words; what Python has no word for is refused with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from katibpy.collectors.lines import LineCutter, plain_text
from katibpy.collectors.parser import SeenNames
from katibpy.collectors.text import line_time
from katibpy.core.records import ObservedValue

LONGEST_FILTERED_LINE = 1 << 16
"""Bytes of a line that filters look at: an unlucky expression takes time that grows faster than the line."""

_POSIX_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_OUTSIDE_CLASSES = {"L": r"[^\W\d_]", "N": r"\d", "Nd": r"\d"}
_NAMED_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_CLASS_START = re.compile(r"\[\^?\]?")
_GROUPS = 2
_LINES_SCANNED_FOR_NAMES = 10_000
"""In which names that nobody asked for are noted."""


def compile_filter(expression: str) -> re.Pattern[str]:
    r"""Compiles an expression in RE2 syntax.

    `\w \d \s \b` mean ASCII characters, as in RE2.

    Raises:
        ValueError: it cannot be compiled, or has fewer than two groups; the message reads on after the path.
    """
    try:
        pattern = re.compile(_in_python(expression), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression, got {expression!r}: {error}") from error
    if pattern.groups < _GROUPS:
        raise ValueError(
            f"must have two groups, the first for the metric's name and the second for its value, "
            f"got {pattern.groups} in {expression!r}"
        )
    return pattern


class FilterParser:
    """A `Parser` of text in the formats that filters describe."""

    def __init__(self, metrics: Sequence[str], filters: Sequence[str]) -> None:
        """Takes the wanted names and the expressions.

        Raises:
            ValueError: an expression cannot be compiled.
        """
        self._wanted = frozenset(name for name in metrics if name)
        self._patterns = [compile_filter(each) for each in filters]
        self._names = tuple(sorted(self._wanted))
        self._needles = tuple(name.encode() for name in self._names)
        self._cutter = LineCutter()
        self._count = 0
        self._overlong = 0
        self._scanned_lines = 0
        self._seen = SeenNames()

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Names that a filter found with a value."""
        return self._seen.as_tuple()

    @property
    def skipped_lines(self) -> int:
        """Lines that were too long."""
        return self._cutter.skipped + self._overlong

    def feed(self, data: bytes, *, arrived: float) -> list[ObservedValue]:
        """Takes the next bytes."""
        return [value for block in self._cutter.feed(data) for value in self._parse(block, arrived)]

    def end(self, *, arrived: float) -> list[ObservedValue]:
        """Takes what is left as the last line."""
        return list(self._parse(self._cutter.end(), arrived))

    def _parse(self, block: bytes, arrived: float) -> Iterator[ObservedValue]:
        for line in block.splitlines():
            is_hit = any(needle in line for needle in self._needles)
            is_noting = self._scanned_lines < _LINES_SCANNED_FOR_NAMES and not self._seen.is_full
            self._scanned_lines += 1
            if not is_hit and not is_noting:
                continue
            if len(line) > LONGEST_FILTERED_LINE:
                self._overlong += 1
                continue
            yield from self._parse_line(plain_text(line), arrived)

    def _parse_line(self, line: str, arrived: float) -> Iterator[ObservedValue]:
        time = None
        for pattern in self._patterns:
            for match in pattern.finditer(line):
                name, value = (match[1] or "").strip(), (match[2] or "").strip()
                if not name or not value:
                    continue
                self._seen.add(name)
                if name in self._wanted:
                    time = line_time(line, 0, arrived) if time is None else time
                    yield ObservedValue(sequence=self._count, metric=name, text=value, time=time)
                    self._count += 1


def _in_python(expression: str) -> str:
    """The expression in Python's syntax."""
    out: list[str] = []
    at, is_class = 0, False
    while at < len(expression):
        char = expression[at]
        if char == "\\" and at + 1 < len(expression):
            text, at = _escape(expression, at, is_class=is_class)
            out.append(text)
            continue
        if is_class:
            named = _NAMED_CLASS.match(expression, at)
            if named is not None:
                out.append(_posix_class(named[1], named[2]))
                at = named.end()
                continue
            # A bracket inside a class is an ordinary character in RE2, and a warning in Python.
            is_class = char != "]"
            out.append("\\" + char if char in "[&~|" else char)
        elif char == "[":
            # A bracket that closes at once is the first member of its class.
            opening = _CLASS_START.match(expression, at)
            start = opening[0] if opening is not None else char
            out.append(start.replace("]", "\\]"))
            at += len(start)
            is_class = True
            continue
        elif expression.startswith("(?<", at) and expression[at + 3 : at + 4] not in ("=", "!"):
            out.append("(?P<")
            at += 3
            continue
        else:
            out.append(char)
        at += 1
    return "".join(out)


def _escape(expression: str, at: int, *, is_class: bool) -> tuple[str, int]:
    """What the escape at this position is in Python, and the position behind it."""
    kind = expression[at + 1]
    if kind == "z" and not is_class:
        return r"\Z", at + 2
    if kind == "Q":
        end = expression.find(r"\E", at)
        quoted = expression[at + 2 : end if end >= 0 else len(expression)]
        return re.escape(quoted), end + 2 if end >= 0 else len(expression)
    if kind == "x" and expression[at + 2 : at + 3] == "{":
        end = expression.find("}", at)
        digits = expression[at + 3 : end]
        if end < 0 or not re.fullmatch("[0-9A-Fa-f]{1,6}", digits):
            raise re.error(r"\x{...} must hold a hexadecimal number", expression, at)
        return rf"\U{int(digits, 16):08X}", end + 1
    if kind in "pP":
        end = expression.find("}", at) if expression[at + 2 : at + 3] == "{" else at + 2
        name = expression[at + 2 : end + 1].strip("{}")
        if kind == "P" or is_class or name not in _OUTSIDE_CLASSES:
            raise re.error(rf"\{kind}{name} is not supported; name the characters themselves", expression, at)
        # Letters and digits of all scripts, in an expression that otherwise means ASCII.
        return f"(?u:{_OUTSIDE_CLASSES[name]})", end + 1
    if kind == "C":
        raise re.error(r"\C is not supported; use a dot", expression, at)
    return expression[at : at + 2], at + 2


def _posix_class(negation: str, name: str) -> str:
    members = _POSIX_CLASSES.get(name)
    if members is None or negation:
        raise re.error(f"the class [:{negation}{name}:] is not supported; name the characters themselves")
    return members
