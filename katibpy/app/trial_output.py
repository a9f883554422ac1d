"""What a trial wrote, for people: a notice stands where the middle of it was dropped."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from katibpy.collectors.output_gap import Gap, dropped_notice, gap_in

_CHUNK = 64 * 1024


class OutputReader:
    """Reads an output from its beginning, while it is written too. A context manager, for one thread."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            OSError: it cannot be opened.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        self._position = 0
        self._is_line_start = True
        self._known: Gap | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes it."""
        os.close(self._descriptor)

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes, at most about so many; b"" when there are no more for now."""
        piece = os.pread(self._descriptor, size, self._position)
        # Loaded after reading: a piece that was dropped in between is known as such.
        gap = self._gap()
        if gap is not None and gap.start <= self._position < gap.end:
            piece = dropped_notice(gap.end - self._position, is_after_line=self._is_line_start)
            self._position = gap.end
        else:
            if gap is not None and self._position < gap.start:
                piece = piece[: gap.start - self._position]
            self._position += len(piece)
        if piece:
            self._is_line_start = piece.endswith(b"\n")
        return piece

    def skip_to_last_lines(self, count: int) -> None:
        """Goes to where the last lines begin; what was dropped counts as one.

        Reads from the end, so that a huge file costs nothing.
        """
        end, gap = os.fstat(self._descriptor).st_size, self._gap()
        if gap is None:
            self._position, _ = self._lines_back(0, end, count)
            return
        self._position, missing = self._lines_back(gap.end, end, count)
        if missing:
            self._position, _ = self._lines_back(0, gap.start, missing - 1)

    def _lines_back(self, start: int, end: int, count: int) -> tuple[int, int]:
        """Where the last lines before `end` begin, and how many of them were not found after `start`."""
        if count == 0 or end <= start:
            return end, count
        position = end
        while position > start:
            size = min(_CHUNK, position - start)
            position -= size
            chunk = os.pread(self._descriptor, size, position)
            index = len(chunk)
            while (index := chunk.rfind(b"\n", 0, index)) >= 0:
                # The line break that ends the file begins no line.
                if position + index + 1 < end:
                    count -= 1
                    if count == 0:
                        return position + index + 1, 0
        return start, count - 1

    def _gap(self) -> Gap | None:
        # The record goes when another file without a gap takes the place of this one.
        self._known = gap_in(self._path, os.fstat(self._descriptor)) or self._known
        return self._known
