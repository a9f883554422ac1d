"""Text for people in the manner of `kubectl describe`: labelled lines, sections and tables inside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from katibpy.cli.output_table import Column, table_lines
from katibpy.display.plain_text import clean, one_line
from katibpy.display.values import NOTHING

_LABEL_WIDTH = 18


class Page:
    """Lines collected from top to bottom.

    Attributes:
        lines: what has been written so far.
    """

    def __init__(self, *, width: int | None = None) -> None:
        self.lines: list[str] = []
        self._width = width
        self._indent = ""

    def field(self, label: str, value: object) -> None:
        """`Label:   value`; further lines of the value stand below the first."""
        text = clean(str(value)) or NOTHING
        first, *others = text.split("\n")
        head = f"{self._indent}{label}:"
        column = len(self._indent) + _LABEL_WIDTH
        self.lines.append(f"{head:{column}} {first}".rstrip())
        self.lines.extend(f"{'':{column}} {line}".rstrip() for line in others)

    def pairs(self, label: str, pairs: Iterable[tuple[str, str]]) -> None:
        """A field with one `key=value` a line."""
        self.field(label, "\n".join(f"{key}={one_line(value)}" for key, value in pairs))

    def section(self, title: str) -> None:
        """A heading; what follows is indented."""
        self._indent = ""
        self.lines.append(f"{title}:")
        self._indent = "  "

    def top(self) -> None:
        """Ends a section."""
        self._indent = ""

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """A table inside the section."""
        room = None if self._width is None else self._width - len(self._indent)
        self.lines.extend(self._indent + line for line in table_lines(columns, rows, width=room))

    def block(self, text: str) -> None:
        """Lines as they are, indented."""
        self.lines.extend(f"{self._indent}{line}".rstrip() for line in clean(text).rstrip("\n").split("\n"))

    def __str__(self) -> str:
        return "\n".join(self.lines)
