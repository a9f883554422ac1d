"""A file that grows while it is read, and may appear late, be emptied, be replaced or vanish."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class FollowedFile:
    """Reads what is new in a file. Once open it stays readable even when it is deleted. One thread uses it.

    Attributes:
        problem: why it cannot be read, "" when it can; a sentence about the path.
        was_restarted: whether the last piece begins a new content: the file was emptied or replaced.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        """Takes the path, and how many bytes at its beginning belong to somebody else."""
        self.path = path
        self.problem = "was never written"
        self.was_restarted = False
        self._position = offset
        self._descriptor: int | None = None
        self._identity = (0, 0)

    def read(self, limit: int) -> bytes:
        """The next bytes, b"" when there are no more for now."""
        self.was_restarted = False
        if self._descriptor is None and not self._open():
            return b""
        piece = self._read_on(limit)
        if not piece and self._start_over():
            self.was_restarted = True
            piece = self._read_on(limit)
        return piece

    def tail(self, size: int) -> bytes:
        """The last bytes of it."""
        if self._descriptor is None and not self._open():
            return b""
        assert self._descriptor is not None
        try:
            length = os.fstat(self._descriptor).st_size
            return os.pread(self._descriptor, size, max(0, length - size))
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
            return b""

    @property
    def position(self) -> int:
        """Where the next piece begins."""
        return self._position

    @property
    def descriptor(self) -> int | None:
        """Of the file, while it is open."""
        return self._descriptor

    def open(self) -> bool:
        """Opens the file when it is there, so that it can be read although it is deleted."""
        return self._descriptor is not None or self._open()

    def size(self) -> int:
        """How long it is now; 0 while it is not open."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def skip_to(self, offset: int) -> None:
        """Leaves out what lies before the offset."""
        self._position = offset

    def close(self) -> None:
        """Closes it; reading on opens it anew."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> bool:
        try:
            # Without O_NONBLOCK, opening a pipe would wait for its other end.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self.problem = "was never written"
            return False
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
            return False
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            self.problem = f"is {kind}; it must be a file that the trial writes"
            return False
        self.problem = ""
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        return True

    def _read_on(self, limit: int) -> bytes:
        assert self._descriptor is not None
        try:
            piece = os.pread(self._descriptor, limit, self._position)
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
            return b""
        self._position += len(piece)
        return piece

    def _start_over(self) -> bool:
        """At the end of what is open: whether there is a new content to be read from its beginning."""
        assert self._descriptor is not None
        if os.fstat(self._descriptor).st_size < self._position:
            self._position = 0
            return True
        try:
            named = os.stat(self.path)
        except OSError:
            return False
        if (named.st_dev, named.st_ino) == self._identity:
            return False
        previous = self._descriptor
        if not self._open():
            # What stands there now is no file; what was read so far remains.
            self.problem = ""
            return False
        os.close(previous)
        self._position = 0
        return True
