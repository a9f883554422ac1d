"""Directories that are empty again for every attempt, as an `emptyDir` is for every pod."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def renew(directory: Path, *, keep: Path | None = None) -> None:
    """Makes a directory, or empties it.

    Args:
        directory: readable by its user only.
        keep: a path inside that stays when it is there: metrics are read over all attempts, as output is.

    Raises:
        OSError: something in it cannot be removed.
    """
    if not directory.is_symlink() and directory.is_dir():
        _empty(directory, keep)
        return
    directory.unlink(missing_ok=True)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _empty(directory: Path, keep: Path | None) -> None:
    for entry in list(os.scandir(directory)):
        path = Path(entry.path)
        if path == keep:
            continue
        if not entry.is_dir(follow_symlinks=False):
            path.unlink()
        elif keep is not None and keep.is_relative_to(path):
            _empty(path, keep)
        else:
            shutil.rmtree(path)
