"""The folder that holds everything of one local controller: its database, and a lock that keeps it alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from katibpy.errors import NotFound, StateDirectoryLocked, StoreError

if TYPE_CHECKING:
    from katibpy.ports import Clock
    from katibpy.stores.sql.database import Database
    from katibpy.stores.sql.observations import SqlObservationStore
    from katibpy.stores.sql.resources import SqlResourceStore

DATABASE_NAME = "katib.db"
LOCK_NAME = "katib.lock"


class DirectoryLock:
    """An exclusive lock on a state directory, held until it is released or its process ends.

    It is the kernel's lock on an open file, so it never outlives a process that was killed; what the file
    holds, its owner's pid, is for messages only. The file is closed in programs that the process starts.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the lock.

        Raises:
            StateDirectoryLocked: another process holds it.
            StoreError: the lock file cannot be opened.
        """
        path = folder / LOCK_NAME
        try:
            # Descriptors that Python opens are not inherited.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as err:
            raise StoreError(f"the lock {path} cannot be opened: {err.strerror}") from err
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            owner = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            if not isinstance(err, BlockingIOError):
                raise StoreError(f"the lock {path} cannot be taken: {err.strerror}") from err
            who = f"process {owner}" if owner else "another process"
            end = f"end it (kill {owner})" if owner else "end it"
            raise StateDirectoryLocked(
                f"the state directory {folder} must have one controller at a time, got a second while {who} "
                f"uses it: wait until that has ended, {end}, or give another one with --state-dir"
            ) from err
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Gives the lock up; no-op when that was done."""
        if self._descriptor >= 0:
            # The file stays: removing it would let two processes lock two files of the same name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def lock_holder(folder: Path) -> int | None:
    """The pid of the process that holds the lock of a state directory, None when nobody does."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 32).decode(errors="replace").strip()
        if not text.isdecimal():
            return None
        # Asking the kernel means to take the lock for a moment, which could keep a controller from it; so it
        # is asked only where the owner is said to be there. One that was killed leaves its pid.
        os.kill(int(text), 0)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(text)
    except PermissionError:
        return int(text)  # somebody else's process
    except (OSError, OverflowError):
        return None
    finally:
        os.close(descriptor)
    return None


class StateDirectory:
    """An open state directory: two stores on one database.

    A controller claims it and is alone; others open it beside the controller, to read and to mark
    deletions.

    Attributes:
        path: the folder, absolute.
        resources: its resource store.
        observations: its observation store.
    """

    def __init__(self, path: Path, clock: Clock, database: Database, lock: DirectoryLock | None) -> None:
        # They load SQLAlchemy, which is slow.
        from katibpy.stores.sql.observations import SqlObservationStore
        from katibpy.stores.sql.resources import SqlResourceStore

        self.path = path
        self.resources: SqlResourceStore = SqlResourceStore(database, clock)
        self.observations: SqlObservationStore = SqlObservationStore(database)
        self._database = database
        self._lock = lock

    @classmethod
    def claim(cls, path: Path, clock: Clock) -> Self:
        """Opens the folder for its controller; makes it, for its user alone, when it is missing.

        Raises:
            StateDirectoryLocked: another controller uses it; the message names its pid.
            StoreError: the folder or the database in it cannot be used.
        """
        folder = path.absolute()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as err:
            raise StoreError(f"the state directory {folder} must be a folder, got a file") from err
        except OSError as err:
            raise StoreError(f"the state directory {folder} cannot be made: {err.strerror}") from err
        _close_to_others(folder)
        lock = DirectoryLock(folder)
        try:
            return cls._open(folder, clock, lock, create=True)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def visit(cls, path: Path, clock: Clock) -> Self:
        """Opens a folder that exists, whether its controller runs or not.

        Raises:
            NotFound: nothing has run there.
            StoreError: the database cannot be used.
        """
        folder = path.absolute()
        if not folder.is_dir():
            raise NotFound(f"there is no state directory {folder}: nothing has run there")
        return cls._open(folder, clock, None, create=False)

    def close(self) -> None:
        """Closes the database, then gives the lock up."""
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def _open(cls, folder: Path, clock: Clock, lock: DirectoryLock | None, *, create: bool) -> Self:
        from katibpy.stores.sql.opening import open_database

        if create:
            # What SQLite makes beside the database gets the database's mode.
            with contextlib.suppress(OSError):
                os.close(os.open(folder / DATABASE_NAME, os.O_RDWR | os.O_CREAT, 0o600))
        return cls(folder, clock, open_database(folder / DATABASE_NAME, create=create), lock)


def _close_to_others(folder: Path) -> None:
    """Makes an empty folder private; one that holds something is somebody's own choice."""
    with contextlib.suppress(OSError):
        if not any(folder.iterdir()):
            folder.chmod(0o700)
