"""Paths that are private in a container, moved to the trial's own directory on this host.

On Kubernetes the directory of a metrics file and every `emptyDir` volume are a fresh, private directory of
each pod. A process on this host sees the same `/var/log/katib` as all others, so wherever such a path is
named in the command, its arguments or the values of its environment, the trial's private path is put instead:

- the path of a metrics file, and the path of its directory when nothing follows it;
- the path of a directory (an `emptyDir` mount, a directory of event files), and every path below it.

A path counts as named where a character that may belong to a path neither precedes it nor continues its last
part: `--log=/katib/m.log`, `>/katib/m.log` and `'/katib/m.log'` are, `/data/katib/m.log` and `/katib/m.log.1`
are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

METRICS_FILE_VARIABLE = "KATIB_METRICS_FILE"
"""Environment variable with the path that the metrics file really has."""

_BEFORE = r"(?<![\w.\-/~$})*])"
_SAFE = re.compile(r"[\w@%+=:,./-]*", re.ASCII)


class UnsafePath(ValueError):
    """A private path would have to be put inside a longer text, where its characters may mean something."""


@dataclass(frozen=True, slots=True)
class Move:
    """One path that is private to the trial.

    Attributes:
        path: as the template names it.
        private: what it is on this host.
        is_directory: whether paths below it are moved with it.
    """

    path: str
    private: Path
    is_directory: bool = False

    @property
    def pattern(self) -> str:
        """A regular expression for the places where the path is named."""
        after = r"(?=/|(?![\w\-.]))" if self.is_directory else r"/?(?![\w\-.]|/)"
        return _BEFORE + re.escape(self.path.rstrip("/")) + after


class PathMover:
    """Puts private paths in place of those that a template names.

    Attributes:
        used: paths of the template that were named somewhere so far.
    """

    def __init__(self, moves: Iterable[Move]) -> None:
        # The longest first: a file inside a mounted directory has its own place.
        self._moves = sorted(
            (move for move in moves if move.path.rstrip("/")), key=lambda move: -len(move.path)
        )
        self._pattern = (
            re.compile("|".join(f"({move.pattern})" for move in self._moves)) if self._moves else None
        )
        self.used: set[str] = set()

    def move(self, text: str) -> str:
        """The text with private paths.

        Raises:
            UnsafePath: the private path has blanks or the like, and the text may be a script.
        """
        if self._pattern is None or "/" not in text:
            return text

        def replaced(match: re.Match[str]) -> str:
            move = self._moves[(match.lastindex or 1) - 1]
            self.used.add(move.path)
            private = str(move.private)
            head = text[: match.start()]
            is_whole = not head or re.fullmatch(r"[\w.-]+=", head) is not None
            if not (is_whole and not re.search(r"\s", text[match.end() :])) and not _SAFE.fullmatch(private):
                raise UnsafePath(
                    f"{move.path} is named inside a longer text, where {private!r} would have to stand, but "
                    "that has characters with a meaning of their own there; use a state directory without "
                    "them, or name the path in an argument of its own"
                )
            return private

        return self._pattern.sub(replaced, text)


def file_moves(path: str, private_directory: Path) -> tuple[Path, tuple[Move, ...]]:
    """Where a metrics file is for this trial, and the moves that bring it there."""
    stem = Path(path)
    private = private_directory / stem.name
    return private, (Move(path, private), Move(str(stem.parent), private_directory))
