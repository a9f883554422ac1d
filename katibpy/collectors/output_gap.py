"""The middle of an output that was dropped: where it was, and how that is remembered and told.

The head and the tail of an output that grows too large stay where they are in its file; the middle is given
back to the file system, so that the file has a hole. A record beside the file says where, and how many metric
values had been read up to its end: a collector that begins anew goes on there with the same numbers.

The record is written before the hole is made. So whoever reads a piece and finds no gap over it in a record
that was loaded afterwards has read what the trial wrote.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Gap:
    """What of a file is not there any more.

    Attributes:
        inode: of the file; another file of that name has no part in it.
        start: its first byte.
        end: the first byte behind it.
        values: how many metric values had been read before `end`.
        is_after_line: whether a line ends right before it.
        is_before_line: whether a line begins right behind it.
    """

    inode: int
    start: int
    end: int
    values: int = 0
    is_after_line: bool = True
    is_before_line: bool = True

    @property
    def notice(self) -> bytes:
        """What stands in its place for people, as a line of its own."""
        return dropped_notice(self.end - self.start, is_after_line=self.is_after_line)

    def save(self, output: Path) -> None:
        """Writes the record, whole and for good.

        Raises:
            OSError: it cannot be written.
        """
        draft = _record(output).with_suffix(".draft")
        with open(draft, "w", encoding="ascii") as file:
            json.dump(asdict(self), file)
            file.flush()
            # A record that a power failure takes back would be missing for a hole that is there.
            os.fsync(file.fileno())
        os.replace(draft, _record(output))


def gap_in(output: Path, file: os.stat_result) -> Gap | None:
    """The gap in an output, None when there is none.

    Args:
        output: path of the output.
        file: status of the file that is read, which may have been replaced at that path.
    """
    try:
        gap = Gap(**json.loads(_record(output).read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None
    return gap if gap.inode == file.st_ino and gap.end <= file.st_size else None


def forget_gap(output: Path) -> None:
    """Removes the record."""
    with contextlib.suppress(OSError):
        _record(output).unlink()


def dropped_notice(size: int, *, is_after_line: bool = True) -> bytes:
    """The line that stands for so many bytes."""
    shown, unit = float(size), _UNITS[0]
    for unit in _UNITS:  # noqa: B007 - the last one that was tried
        if shown < 1024:
            break
        shown /= 1024
    text = f"{shown:.0f}" if unit == _UNITS[0] else f"{shown:.1f}"
    return f"{'' if is_after_line else chr(10)}[katib: {text} {unit} of output dropped here]\n".encode()


def _record(output: Path) -> Path:
    return output.with_suffix(".gap")
