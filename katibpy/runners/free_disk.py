"""Whether the disk that trials write to has room for another one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from katibpy.api.quantity import ceiling, format_bytes, parse_quantity
from katibpy.errors import InputError

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_WHOLE = 100.0


@dataclass(frozen=True, slots=True)
class DiskFloor:
    """How much of a disk must be free: the smaller of the two.

    Attributes:
        size: bytes.
        percent: of the disk's size.
    """

    size: int
    percent: float = _WHOLE

    def on(self, total: int) -> int:
        """Bytes that must be free on a disk of that size."""
        return min(self.size, int(total * self.percent / _WHOLE))


DEFAULT_FLOOR = DiskFloor(size=512 << 20, percent=2.0)
"""Much less, and the next trial can hardly write its output; more would forbid small disks."""


def parse_floor(text: str) -> DiskFloor:
    """`2Gi`, `500M`, `5%`, or `0` for no floor.

    Raises:
        InputError: it is none of these.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is not None and float(match[1]) <= _WHOLE:
        return DiskFloor(size=1 << 62, percent=float(match[1]))
    try:
        return DiskFloor(size=ceiling(parse_quantity(text.strip())))
    except ValueError:
        raise InputError(f"must be a size (512Mi, 2G) or a part of the disk (5%), got {text!r}") from None


class FreeDisk:
    """Looks at the disk that a directory is on.

    Attributes:
        floor: what must be free; may be changed at any time.
    """

    def __init__(self, directory: Path, floor: DiskFloor = DEFAULT_FLOOR) -> None:
        """Takes the directory and what must be free there."""
        self._directory = directory
        self.floor = floor

    def shortage(self) -> str:
        """What is missing, as a sentence for people; "" when there is room, or when nobody can tell."""
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return ""
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        needed = self.floor.on(total)
        place = f"on the disk of {self._directory}"
        if free < needed:
            there = f"{format_bytes(free)} of {format_bytes(total)}"
            return f"{format_bytes(needed)} must be free {place}, {there} is"
        if needed and found.f_files and not found.f_favail:
            return f"not one more file can be made {place}: it has no free inodes"
        return ""
