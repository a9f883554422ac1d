"""Metrics in lines of text: `loss=0.3 accuracy=0.9`, or whatever the filters of the Experiment describe.

Without filters a value is a metric's name, `=` with any blanks around it, and a number: signs, fractions,
exponents, a point with nothing behind it, `nan` and `inf` in any case. The names are looked for as they were
asked for, so `val/loss` is found where the whole of it stands, and `loss` in `val/loss=1` only when nobody
asked for `val/loss`. A name does not begin in the middle of a word. A number that goes on with what no number
has (`1_000`, `0x1f`) is none.

A line that begins with an RFC 3339 time and a blank has that time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from katibpy.collectors.lines import LineCutter, plain_text
from katibpy.collectors.parser import SeenNames, rfc3339_seconds
from katibpy.core.records import ObservedValue

_BLANKS = r"[ \t\v\f]*"
# Atomic: giving back digits until the rest fits would make 12 of 12_000.
_NUMBER = (
    r"((?>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?)(?!_|[xX][0-9a-fA-F])"
    r"|[+-]?(?i:nan|inf(?:inity)?)(?![\w.]))"
)
_NAME_START = r"(?<![\w|-])"
# It begins where a word begins and gives nothing back: a long line without "=" takes linear time.
_ANY_NAME = re.compile(rf"(?<![\w|./:@%-])([\w|./:@%-]++){_BLANKS}={_BLANKS}{_NUMBER}", re.ASCII)

_SCANNED_FOR_NAMES = 1 << 20
"""Bytes in which names that nobody asked for are noted, for messages about a metric that is missing."""


class TextParser:
    """A `Parser` of text in the default format, for metrics whose names are known."""

    def __init__(self, metrics: Sequence[str]) -> None:
        """Takes the wanted names, the objective among them."""
        self._wanted = frozenset(name for name in metrics if name)
        longest_first = sorted(self._wanted, key=lambda name: (-len(name), name))
        names = "|".join(re.escape(name) for name in longest_first)
        self._pattern = re.compile(rf"{_NAME_START}({names}){_BLANKS}={_BLANKS}{_NUMBER}", re.ASCII)
        self._needles = tuple(name.encode() for name in longest_first)
        self._cutter = LineCutter()
        self._count = 0
        self._scanned = 0
        self._seen = SeenNames()

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Names that appeared with a value."""
        return self._seen.as_tuple()

    @property
    def skipped_lines(self) -> int:
        """Lines that were too long."""
        return self._cutter.skipped

    def feed(self, data: bytes, *, arrived: float) -> list[ObservedValue]:
        """Takes the next bytes."""
        return [value for block in self._cutter.feed(data) for value in self._parse(block, arrived)]

    def end(self, *, arrived: float) -> list[ObservedValue]:
        """Takes what is left as the last line."""
        return list(self._parse(self._cutter.end(), arrived))

    def _parse(self, block: bytes, arrived: float) -> Iterator[ObservedValue]:
        is_hit = any(needle in block for needle in self._needles)
        is_noting = self._scanned < _SCANNED_FOR_NAMES and not self._seen.is_full and b"=" in block
        self._scanned += len(block)
        if not is_hit and not is_noting:
            return
        text = plain_text(block)
        if is_noting:
            self._note_names(text)
        if not is_hit:
            return
        for start, end in self._lines_with_names(text):
            time: float | None = None
            for match in self._pattern.finditer(text, start, end):
                name, value = match.groups()
                if time is None:
                    time = line_time(text, start, arrived)
                self._seen.add(name)
                yield ObservedValue(self._count, name, value, time)
                self._count += 1

    def _lines_with_names(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of every line that holds a wanted name; a plain search skips all others."""
        following = dict.fromkeys(self._wanted, -1)
        at = 0
        while True:
            for name, position in list(following.items()):
                if position < at:
                    position = text.find(name, at)
                    if position < 0:
                        del following[name]
                        continue
                    following[name] = position
            if not following:
                return
            first = min(following.values())
            start = text.rfind("\n", 0, first) + 1
            end = text.find("\n", first)
            at = end if end >= 0 else len(text)
            yield start, at

    def _note_names(self, text: str) -> None:
        for match in _ANY_NAME.finditer(text):
            self._seen.add(match[1])


def line_time(text: str, start: int, arrived: float) -> float:
    """Time that stands at this position of a text, before the first blank; else the time of arrival."""
    # Most lines begin with something else, which one look tells.
    if text[start + 4 : start + 5] != "-" or text[start + 10 : start + 11] != "T":
        return arrived
    stamp = rfc3339_seconds(text[start : start + 64].split(None, 1)[0])
    return arrived if stamp is None else stamp
