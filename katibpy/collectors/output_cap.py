"""Keeps one output to a size while it is written: head and tail stay, the middle is dropped."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from katibpy.collectors.followed_file import FollowedFile
from katibpy.collectors.hole import punch_hole
from katibpy.collectors.output_gap import Gap, dropped_notice, forget_gap, gap_in

logger = logging.getLogger(__name__)

LEAST_LIMIT = 1 << 20
_NEAR = 1 << 16
_COPIED = 1 << 20
_LINE_ENDS = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place at which reading could begin anew.

    Attributes:
        offset: in the file.
        values: how many metric values had been read before it.
        is_line_start: whether a line begins there; otherwise it is inside a line too long to be read.
    """

    offset: int
    values: int
    is_line_start: bool = True


class OutputCap:
    """The cap of one file that others append to. One thread uses it.

    While the file grows, its middle is given back to the file system where that can be done; nothing else of
    it changes, so writers and readers go on. When all has been written, `compact` puts a file without a hole
    in its place, with a line that says what is missing. Only what has been read is dropped.

    Attributes:
        gap: what has been dropped so far.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        """Takes the file and the bytes it may take on the disk."""
        self.gap: Gap | None = None
        self._path = path
        self._limit = max(limit, LEAST_LIMIT)
        # Half of it for the head; the tail grows by a step until that is dropped at once.
        self._step = self._limit // 8
        self._head = self._limit // 2
        self._tail = self._limit - self._head - self._step
        self._marks: deque[Mark] = deque()
        self._can_punch = True
        self._has_looked = False

    def recall(self, descriptor: int) -> None:
        """Learns what an earlier collector dropped of the file that is open."""
        self._has_looked = True
        self.gap = gap_in(self._path, os.fstat(descriptor))

    def reset(self) -> None:
        """The file was emptied or replaced: what was dropped is no part of it."""
        forget_gap(self._path)
        self.gap = None
        self._marks.clear()

    def note(self, mark: Mark) -> None:
        """Takes a place up to which all has been read and stored."""
        least = self._marks[-1].offset + self._step // 16 if self._marks else self._head
        if mark.offset >= least:
            self._marks.append(mark)

    def trim(self, descriptor: int, position: int) -> None:
        """Drops what lies behind the head and before the tail, when there is enough of it.

        Args:
            descriptor: the open file.
            position: up to which it has been read.
        """
        newest: Mark | None = None
        while self._marks and self._marks[0].offset <= position - self._tail:
            newest = self._marks.popleft()
        if newest is None or not self._can_punch:
            return
        dropped = self.gap.end if self.gap is not None else self._head
        # Every cut has to reach the disk: while much is left to read, fewer of them catch up sooner.
        unread = os.fstat(descriptor).st_size - position
        if newest.offset - dropped < max(self._step, unread // 4):
            self._marks.appendleft(newest)
            return
        try:
            self._drop(descriptor, newest)
        except OSError as error:
            self._can_punch = False
            logger.warning("the output %s cannot be cut: %s", self._path, error)

    def cut(self, output: FollowedFile) -> None:
        """As `trim`, of a file that nobody reads: any of its lines may be dropped."""
        descriptor = output.descriptor
        if descriptor is None:
            return
        size = output.size()
        if not self._has_looked:
            self.recall(descriptor)
        elif self.gap is not None and size < self.gap.end:
            self.reset()
        if size > self._limit - self._step:
            self._marks.clear()
            self._marks.append(Mark(_line_start_after(descriptor, size - self._tail - _NEAR), 0))
            self.trim(descriptor, size)

    def compact(self, descriptor: int) -> None:
        """Puts head, notice and tail in the place of a file that is too large; all of it has been read.

        A file that cannot be written is left as it is.
        """
        status = os.fstat(descriptor)
        if self.gap is None and status.st_size <= self._limit:
            return
        draft = self._path.with_suffix(".draft")
        try:
            if not _is_named(self._path, status):
                return
            start, end = self._bounds(descriptor, status.st_size)
            is_after_line = _is_line_start(descriptor, start)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(_pieces(descriptor, 0, start))
                file.write(dropped_notice(end - start, is_after_line=is_after_line))
                file.writelines(_pieces(descriptor, end, status.st_size))
            os.replace(draft, self._path)
        except OSError as error:
            logger.warning("the output %s cannot be cut: %s", self._path, error)
            with contextlib.suppress(OSError):
                draft.unlink()
            return
        forget_gap(self._path)

    def _drop(self, descriptor: int, mark: Mark) -> None:
        status = os.fstat(descriptor)
        if not _is_named(self._path, status):
            return
        known = self.gap
        start = known.start if known is not None else _line_start_before(descriptor, self._head)
        gap = Gap(
            inode=status.st_ino,
            start=start,
            end=mark.offset,
            values=mark.values,
            is_after_line=_is_line_start(descriptor, start) if known is None else known.is_after_line,
            is_before_line=mark.is_line_start,
        )
        gap.save(self._path)
        writing = os.open(self._path, os.O_WRONLY)
        try:
            is_same = os.fstat(writing).st_ino == status.st_ino
            self._can_punch = is_same and punch_hole(writing, start, gap.end)
        finally:
            os.close(writing)
        if self._can_punch or known is not None:
            self.gap = gap
        else:
            forget_gap(self._path)

    def _bounds(self, descriptor: int, size: int) -> tuple[int, int]:
        """Where the head ends and the tail begins in a file of that size."""
        start = self.gap.start if self.gap is not None else _line_start_before(descriptor, self._head)
        wanted = size - (self._limit - self._head)
        end = _line_start_after(descriptor, wanted)
        return start, max(start, end, self.gap.end if self.gap is not None else 0)


def _is_named(path: Path, status: os.stat_result) -> bool:
    """Whether the file is still the one at that path."""
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (status.st_dev, status.st_ino)


def _line_start_before(descriptor: int, offset: int) -> int:
    """The nearest line start before an offset; the offset itself when none is near."""
    first = max(0, offset - _NEAR)
    near = os.pread(descriptor, offset - first, first)
    last = max(map(near.rfind, _LINE_ENDS))
    return offset if last < 0 else first + last + 1


def _line_start_after(descriptor: int, offset: int) -> int:
    """The nearest line start behind an offset; the offset itself when none is near."""
    at = os.pread(descriptor, _NEAR, offset).find(b"\n")
    return offset + at + 1


def _is_line_start(descriptor: int, offset: int) -> bool:
    return offset == 0 or os.pread(descriptor, 1, offset - 1) in _LINE_ENDS


def _pieces(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    while start < end and (piece := os.pread(descriptor, min(_COPIED, end - start), start)):
        yield piece
        start += len(piece)
