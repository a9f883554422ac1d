"""Removes directories: at once as far as others can tell, their content in the background."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import shutil
import stat
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

_SUFFIX = ".removed"
_CLOSE_PATIENCE_SECONDS = 20.0


class Graveyard:
    """Where directories go. What is not gone when it closes is removed by the next one over the same place.

    Any thread may bury; `_lock` guards `_thread`. Graves lie beside what they hold unless told otherwise;
    their names begin with a dot and end with `.removed`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._number = itertools.count()

    def bury(self, directory: Path, *, into: Path | None = None) -> bool:
        """Takes a directory away; False when it is not there or cannot be moved.

        Args:
            directory: what goes.
            into: where its grave is, on the same file system.
        """
        # Renamed first: half a directory must not look like a whole one.
        name = f".{directory.name}.{os.getpid()}-{next(self._number)}{_SUFFIX}"
        grave = (into or directory.parent) / name
        try:
            os.replace(directory, grave)
        except FileNotFoundError:
            return False
        except OSError as error:
            logger.warning("the directory %s cannot be removed: %s", directory, error)
            return False
        self._dig(grave)
        return True

    def sweep(self, parent: Path) -> None:
        """Goes on with what an earlier one left in a directory."""
        for grave in parent.glob(f".*{_SUFFIX}"):
            self._dig(grave)

    def close(self) -> None:
        """Waits for what is being removed, though not for ever. It may be used again."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join(_CLOSE_PATIENCE_SECONDS)

    def _dig(self, grave: Path) -> None:
        with self._lock:
            self._waiting.put(grave)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="katib-graveyard", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (grave := self._waiting.get()) is not None:
            shutil.rmtree(grave, ignore_errors=True)
            if grave.exists():
                # A trial may have left directories that not even their owner may change.
                _open_up(grave)
                shutil.rmtree(grave, ignore_errors=True)
            if grave.exists():
                logger.warning("not all of %s can be removed", grave)


def _open_up(directory: Path) -> None:
    for parent, _, _ in os.walk(directory):
        for entry in (parent, *_directories(parent)):
            try:
                os.chmod(entry, stat.S_IRWXU)
            except OSError:
                continue


def _directories(parent: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
