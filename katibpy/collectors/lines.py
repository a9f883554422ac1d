"""Cuts a stream of bytes into whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_LINE = 1 << 20
"""Bytes; what is longer is no line of metrics, and would have to be kept in memory whole."""

_PIECE = 1 << 18
_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")


def plain_text(block: bytes) -> str:
    r"""The text of whole lines, each ended by `\n`: without what colours a terminal, and never failing."""
    text = block.decode(errors="replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _COLOUR.sub("", text) if "\x1b" in text else text


class LineCutter:
    r"""Gives blocks of whole lines, whatever pieces the bytes come in.

    Lines end with `\n`, `\r\n`, or `\r` alone, since progress bars write nothing else for hours.

    Attributes:
        skipped: how many lines were too long and left out.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._parts: list[bytes] = []
        self._length = 0
        self._is_skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes the next bytes; gives blocks of one or more lines, each with its line end."""
        if len(data) <= _PIECE:
            yield from self._take(data)
            return
        for start in range(0, len(data), _PIECE):
            yield from self._take(data[start : start + _PIECE])

    def end(self) -> bytes:
        """What stands after the last line end."""
        if self._is_skipping:
            self._is_skipping = False
            self.skipped += 1
            return b""
        rest = b"".join(self._parts)
        self._parts.clear()
        self._length = 0
        return rest

    def _take(self, piece: bytes) -> Iterator[bytes]:
        last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        if last < 0:
            self._keep(piece)
            return
        start = 0
        if self._parts or self._is_skipping:
            # Only this line can be too long: all further ones lie within the piece.
            ends = [at for at in (piece.find(b"\n"), piece.find(b"\r")) if at >= 0]
            start = min(ends) + 1
            self._keep(piece[: start - 1])
            if self._is_skipping:
                self._is_skipping = False
                self.skipped += 1
            else:
                yield b"".join((*self._parts, piece[start - 1 : start]))
            self._parts.clear()
            self._length = 0
        if last >= start:
            yield piece[start : last + 1]
        if last + 1 < len(piece):
            self._keep(piece[last + 1 :])

    def _keep(self, part: bytes) -> None:
        if self._is_skipping:
            return
        self._length += len(part)
        if self._length > LONGEST_LINE:
            self._is_skipping = True
            self._parts.clear()
            self._length = 0
        elif part:
            self._parts.append(part)
