"""Plain tables, aligned with blanks: the same on a terminal, in a pipe and in a log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from katibpy.display.plain_text import cut, one_line

GAP = "   "
_MIN_FLEXIBLE = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        is_flexible: it may be cut to fit a terminal.
        is_number: its cells stand at the right.
    """

    title: str
    is_flexible: bool = False
    is_number: bool = False


def table_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, width: int | None = None
) -> Iterator[str]:
    """The lines of a table, heading first.

    Args:
        columns: what stands in each row.
        rows: cells; a cell never breaks the line.
        width: cut flexible columns to make lines no longer than this, as far as that goes.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [
        max([len(column.title), *(len(row[index]) for row in cells)]) for index, column in enumerate(columns)
    ]
    if width is not None:
        _shrink(columns, widths, width)
    for row in ([column.title for column in columns], *cells):
        parts = []
        for column, cell, room in zip(columns, row, widths, strict=True):
            text = cut(cell, room)
            parts.append(text.rjust(room) if column.is_number else text.ljust(room))
        yield GAP.join(parts).rstrip()


def terminal_width() -> int | None:
    """The width of the terminal that stdout is; None when it is not one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _shrink(columns: Sequence[Column], widths: list[int], width: int) -> None:
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - width
    while excess > 0:
        flexible = [
            index
            for index, column in enumerate(columns)
            if column.is_flexible and widths[index] > max(_MIN_FLEXIBLE, len(column.title))
        ]
        if not flexible:
            return
        widest = max(flexible, key=lambda index: widths[index])
        room = widths[widest] - max(_MIN_FLEXIBLE, len(columns[widest].title))
        others = [widths[index] for index in flexible if index != widest]
        step = min(excess, room, max(widths[widest] - max(others, default=0), 1))
        widths[widest] -= step
        excess -= step
