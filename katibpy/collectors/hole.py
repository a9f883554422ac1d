"""Gives the disk space in the middle of a file back; its other bytes stay where they are."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable

_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def punch_hole(descriptor: int, start: int, end: int) -> bool:
    """Makes the bytes from `start` to `end` of a file zeros that take no space.

    Args:
        descriptor: of the file, open for writing.
        start: first byte of the hole.
        end: first byte behind it.

    Returns:
        False when this system or the file system cannot do that; nothing has changed then.
    """
    call = _fallocate()
    if call is None or end <= start:
        return False
    result = call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(start), ctypes.c_int64(end - start))
    return result == 0


@functools.cache
def _fallocate() -> Callable[..., int] | None:
    """The system call, which Python has no function for; only Linux has it."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    # The C library of glibc takes 64-bit offsets under another name; musl has no other offsets.
    call = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    return call if callable(call) else None


def disk_usage(path: str | os.PathLike[str]) -> int:
    """Bytes that a file takes on its disk."""
    return os.stat(path).st_blocks * 512
