"""The claims of all programs on this machine: a directory that all of them use.

Every claim is one file, and counts for as long as somebody holds its lock (flock): first the program that
made it, then the processes of the trial, which inherit it. So a claim lasts exactly as long as the trial,
also when the program that started it is killed, and the kernel takes it back. What no one holds is removed
by whoever comes by.

Claims are read, made and granted under the lock of the directory itself, which is held for a moment only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from katibpy.errors import RunnerError
from katibpy.runners.slot_claims import Claim

DIRECTORY_VARIABLE = "KATIB_SLOT_DIR"
DEFAULT_DIRECTORY = Path("/tmp/katibpy-slots")
"""Not the temporary directory of this user or this job: all users of the machine's devices have to meet."""

SILENT_SECONDS = 10.0
"""A waiting claim whose program did not look for so long (it was suspended, say) is passed over."""

_SUFFIX = ".claim"
_PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 0.001
_SHARED_MODE = 0o1777


@dataclass(frozen=True, slots=True)
class Place:
    """A claim's file, open and locked by this program.

    Attributes:
        path: the file.
        descriptor: what holds the lock; a process that inherits it holds it too.
    """

    path: Path
    descriptor: int

    def touch(self) -> None:
        """Says that the program that waits is awake."""
        with contextlib.suppress(OSError):
            os.utime(self.descriptor)

    def close(self, *, is_over: bool) -> None:
        """Lets the claim go.

        Args:
            is_over: it ends now, whoever inherited it; else it lasts as long as they do.
        """
        with contextlib.suppress(OSError):
            if is_over:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
                self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class TableBusy(RunnerError):
    """Another program keeps the table locked; that may pass."""


class LockedTable:
    """The table while nobody else changes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._claims: dict[str, Claim] | None = None

    def claims(self) -> tuple[Claim, ...]:
        """All claims that somebody holds, in the order in which they came; waiting ones if they are awake."""
        if self._claims is None:
            self._claims = dict(sorted(self._read()))
        return tuple(self._claims.values())

    def add(self, claim: Claim) -> tuple[Place, Claim]:
        """Makes the claim's file, with the next number.

        Raises:
            OSError: it cannot be made.
        """
        names = [name for name in os.listdir(self._directory) if name.endswith(_SUFFIX)]
        last = max((int(name.partition("-")[0]) for name in names if name[:12].isdigit()), default=0)
        claim = replace(claim, number=last + 1)
        path = self._directory / f"{claim.number:012d}-{secrets.token_hex(4)}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        place = Place(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whatever the umask: other users have to see what is taken.
            os.fchmod(descriptor, 0o644)
            self.write(place, claim)
        except OSError:
            place.close(is_over=True)
            raise
        return place, claim

    def write(self, place: Place, claim: Claim) -> None:
        """Puts a claim in place of what the file says.

        Raises:
            OSError: it cannot be written.
        """
        # In place, since the lock is on this file. Nobody reads it now, and a program that dies half-way
        # leaves it to nobody.
        text = json.dumps(asdict(claim)).encode()
        os.ftruncate(place.descriptor, os.pwrite(place.descriptor, text, 0))
        if self._claims is not None:
            self._claims[place.path.name] = claim

    def _read(self) -> Iterator[tuple[str, Claim]]:
        now = time.time()
        for name in os.listdir(self._directory):
            if not name.endswith(_SUFFIX):
                continue
            found = _held(self._directory / name)
            if found is None:
                continue
            claim, touched_at = found
            if claim.is_granted or abs(now - touched_at) < SILENT_SECONDS:
                yield name, claim


class SlotTable:
    """The table of this machine. Its methods may be called from any thread."""

    def __init__(self, directory: Path | None = None, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Takes the directory, which is made when it is first needed, and how long to try to lock it."""
        self._patience_seconds = patience_seconds
        self.directory = directory or Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)

    @contextlib.contextmanager
    def locked(self) -> Iterator[LockedTable]:
        """Keeps all other programs out of the table for a moment.

        Raises:
            TableBusy: somebody keeps it locked.
            RunnerError: the directory cannot be used.
        """
        deadline = time.monotonic() + self._patience_seconds
        while (descriptor := self._lock()) is None:
            if time.monotonic() > deadline:
                raise TableBusy(
                    f"another program keeps {self.directory} locked: if a katib was suspended there, "
                    "resume or end it"
                )
            time.sleep(_RETRY_SECONDS)
        try:
            yield LockedTable(self.directory)
        finally:
            os.close(descriptor)

    def _lock(self) -> int | None:
        try:
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._make()
            return None
        except OSError as error:
            raise self._unusable(f"it cannot be opened ({error.strerror})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(descriptor)
            if not os.access(self.directory, os.W_OK):
                raise self._unusable("it is not writable")
            if mine.st_mode & stat.S_IWOTH and not mine.st_mode & stat.S_ISVTX:
                raise self._unusable("anybody can remove what others put into it")
            # A directory that was put in place of the one that is locked has other claims.
            if os.path.samestat(mine, os.stat(self.directory)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(f"it cannot be locked ({error.strerror})") from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _make(self) -> None:
        # Complete before it has its name, so that nobody meets it with another mode.
        draft = self.directory.with_name(f".{self.directory.name}.{secrets.token_hex(4)}")
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            draft.mkdir()
            draft.chmod(_SHARED_MODE)
        except OSError as error:
            raise self._unusable(f"it cannot be made ({error.strerror})") from error
        try:
            draft.rename(self.directory)
        except OSError as error:
            draft.rmdir()
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.EPERM, errno.EACCES):
                raise self._unusable(f"it cannot be made ({error.strerror})") from error

    def _unusable(self, why: str) -> RunnerError:
        return RunnerError(
            f"what trials take of this machine is noted in {self.directory}, and {why}: let its owner give "
            f"it mode 1777, or set {DIRECTORY_VARIABLE} to one that all users of these devices share"
        )


def _held(path: Path) -> tuple[Claim, float] | None:
    """The claim and when it was touched; None when nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        claim = _parsed(os.read(descriptor, 1 << 20))
        return None if claim is None else (claim, os.fstat(descriptor).st_mtime)
    except OSError:
        return None
    else:
        # In a shared directory this fails for the claims of others, which do no harm.
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    finally:
        os.close(descriptor)


def _parsed(text: bytes) -> Claim | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        return Claim(**{**fields, "devices": tuple(fields["devices"])})
    except (ValueError, TypeError, KeyError):
        return None
