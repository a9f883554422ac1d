"""Outputs of a trial that nobody reads for metrics: those of the other processes of a distributed one."""

from __future__ import annotations

from pathlib import Path

from katibpy.collectors.followed_file import FollowedFile
from katibpy.collectors.output_cap import OutputCap

_LOOK_SECONDS = 1.0


class SideLogs:
    """Keeps each of them to a size. One thread uses it."""

    def __init__(self, directory: Path, pattern: str, *, limit: int) -> None:
        """Takes the pattern of their names in a directory, and the bytes that each may take."""
        self._directory = directory
        self._pattern = pattern
        self._limit = limit
        self._known: dict[Path, tuple[FollowedFile, OutputCap]] = {}
        self._due = float("-inf")

    def cut(self, now: float) -> None:
        """Drops what is too much of them; does nothing when it has just done so."""
        if now < self._due:
            return
        self._due = now + _LOOK_SECONDS
        for path in self._directory.glob(self._pattern):
            if path not in self._known:
                self._known[path] = FollowedFile(path), OutputCap(path, limit=self._limit)
        for file, cap in self._known.values():
            if file.open():
                cap.cut(file)

    def compact(self) -> None:
        """All has been written: puts files without holes in the place of those that are too large."""
        self._due = float("-inf")
        self.cut(0.0)
        for file, cap in self._known.values():
            if file.descriptor is not None:
                cap.compact(file.descriptor)

    def close(self) -> None:
        """Closes the files."""
        for file, _ in self._known.values():
            file.close()
