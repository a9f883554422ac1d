"""The values in a growing file, numbered by their order in it, although its middle may have been dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from katibpy.collectors.followed_file import FollowedFile
from katibpy.collectors.lines import LONGEST_LINE
from katibpy.collectors.output_cap import Mark, OutputCap
from katibpy.collectors.parser import Parser
from katibpy.core.records import ObservedValue


class Reading:
    """Reads one file through one parser, both its own. One thread uses it.

    A value has the same number whether the whole file was read, or began anew with a gap in it: behind the
    gap counting goes on at what the gap's record says.
    """

    def __init__(self, source: FollowedFile, parser: Parser, *, cap: OutputCap | None) -> None:
        """Takes the cap of the file, None when it has none."""
        self.source = source
        self._parser = parser
        self._cap = cap
        self._parsed = 0
        self._ahead = 0
        self._line_start = 0
        self._has_begun = False

    def step(self, limit: int, *, arrived: float) -> tuple[int, list[ObservedValue]]:
        """Takes in the next piece.

        Returns:
            Its length, and the values that became complete with it.
        """
        self._begin()
        values: list[ObservedValue] = []
        gap = self._cap.gap if self._cap is not None else None
        if gap is not None and gap.start <= self.source.position < gap.end:
            values += self._cross(arrived=arrived)
        elif gap is not None and self.source.position < gap.start:
            limit = min(limit, gap.start - self.source.position)
        piece = self.source.read(limit)
        if self.source.was_restarted:
            values += self._numbered(self._parser.end(arrived=arrived))
            if self._cap is not None:
                self._cap.reset()
        self._note_lines(piece)
        values += self._numbered(self._parser.feed(piece, arrived=arrived))
        return len(piece), values

    def end(self, *, arrived: float) -> list[ObservedValue]:
        """The values in what stands after the last line end."""
        return self._numbered(self._parser.end(arrived=arrived))

    def stored(self) -> None:
        """All values so far have been stored: what they stood in may be dropped."""
        descriptor, position = self.source.descriptor, self.source.position
        if self._cap is None or descriptor is None:
            return
        values = self._parsed + self._ahead
        if position - self._line_start > LONGEST_LINE:
            self._cap.note(Mark(position, values, is_line_start=False))
        else:
            self._cap.note(Mark(self._line_start, values))
        self._cap.trim(descriptor, position)

    def _begin(self) -> None:
        if not self._has_begun and self.source.open() and self.source.descriptor is not None:
            self._has_begun = True
            self._line_start = self.source.position
            if self._cap is not None:
                self._cap.recall(self.source.descriptor)

    def _cross(self, *, arrived: float) -> list[ObservedValue]:
        """Goes to the end of the gap, as if all before it had been read."""
        gap = self._cap.gap if self._cap is not None else None
        assert gap is not None
        # What stood on both sides is no line: a line too long to be read takes its place.
        too_long = b"\0" * (LONGEST_LINE + 1)
        filler = b"" if gap.is_after_line else too_long + b"\n"
        filler += b"" if gap.is_before_line else too_long
        values = self._numbered(self._parser.feed(filler, arrived=arrived))
        self._ahead = gap.values - self._parsed
        self.source.skip_to(gap.end)
        self._line_start = gap.end if gap.is_before_line else gap.end - len(too_long)
        return values

    def _note_lines(self, piece: bytes) -> None:
        start = self.source.position - len(piece)
        if self.source.was_restarted:
            self._line_start = start
        last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        if last >= 0:
            self._line_start = start + last + 1

    def _numbered(self, values: Iterable[ObservedValue]) -> list[ObservedValue]:
        found = list(values)
        self._parsed += len(found)
        if not self._ahead:
            return found
        return [replace(value, sequence=value.sequence + self._ahead) for value in found]
