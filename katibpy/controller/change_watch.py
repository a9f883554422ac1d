"""Notices what others wrote to the store: edits, deletions, new Experiments."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from katibpy.errors import ChangesGone
from katibpy.ports import Clock, Key, ResourceStore

_MOST_CHANGES = 10_000


@dataclass(frozen=True, slots=True)
class News:
    """What a look at the store brought.

    Attributes:
        keys: objects that others wrote, each once, in order of their first change.
        is_behind: changes were missed: everything must be looked at.
        is_due: it is time to look at everything unfinished, whatever changed.
    """

    keys: tuple[Key, ...] = ()
    is_behind: bool = False
    is_due: bool = False


_NO_NEWS = News()


class ChangeWatch:
    """Reads the store's change log now and then, and leaves out what the controller wrote itself.

    Any thread may call any method; `_lock` guards all attributes but the settings.
    """

    def __init__(
        self, store: ResourceStore, clock: Clock, *, poll_seconds: float, resync_seconds: float
    ) -> None:
        """Begins at the store's newest version when `start` is called.

        Args:
            store: where changes are read.
            clock: tells when it is time to.
            poll_seconds: from one look to the next.
            resync_seconds: from one look at everything unfinished to the next.
        """
        self._store = store
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._resync_seconds = resync_seconds
        self._lock = threading.Lock()
        self._next_poll = 0.0
        self._next_resync = clock.monotonic() + resync_seconds
        self._seen = 0
        self._own: set[int] = set()

    def start(self) -> None:
        """Takes everything up to now as seen; read what there is after this."""
        with self._lock:
            self._seen = self._store.version()

    def wrote(self, resource_version: str | None) -> None:
        """The controller made this version itself and knows what follows from it."""
        if resource_version is not None and resource_version.isdecimal():
            with self._lock:
                self._own.add(int(resource_version))

    def look(self) -> News:
        """What is new, if it is time to look again.

        Raises:
            StoreError: the store cannot be read; the next look makes up for it.
        """
        now = self._clock.monotonic()
        if now < self._next_poll:
            return _NO_NEWS
        with self._lock:
            if now < self._next_poll:
                return _NO_NEWS
            self._next_poll = now + self._poll_seconds
            try:
                changes = self._store.changes(self._seen, limit=_MOST_CHANGES)
            except ChangesGone:
                return News(is_behind=True)
            keys = dict.fromkeys(
                (change.kind, change.namespace, change.name)
                for change in changes
                if change.version not in self._own
            )
            if changes:
                self._seen = changes[-1].version
                self._own = {version for version in self._own if version > self._seen}
            is_due = now >= self._next_resync
            if is_due:
                self._next_resync = now + self._resync_seconds
            return News(tuple(keys), is_due=is_due)
