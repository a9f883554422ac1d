"""One attempt at running a trial: a process group that needs nobody to watch it.

An attempt has a directory with three files. `lock` is held, with flock, by every process of the attempt
that inherited it; `pid` is the leader of its process group; `exit` is the exit code of its main process. So
whoever looks, now or after a restart, knows without `/proc` and without being the parent: an exit file means
that it ended, a lock that is held that it runs, neither that it was killed.

The lock is taken by the runner and inherited by the processes, so there is no moment at which an attempt was
begun and nobody holds it: a runner that dies between taking it and starting the process has started nothing,
and one that dies later leaves it to the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SHELL = "/bin/sh"

# Fixed text, its variables named as no environment has them; the trial's own words come as "$@", the first
# of them an absolute path and so no word of the shell. A file counts once its line is complete, so one write
# makes it whole. When the main process has ended by itself nothing else of its group may stay, as in a
# container; when it was told to end, the rest of the group was told too, and gets its time to do so. What the
# shell itself says ("Terminated") does not belong in the trial's output.
_WRAPPER = """
katib_stopped=
trap 'katib_stopped=1' HUP INT QUIT TERM
katib_attempt=$1
shift
echo $$ >"$katib_attempt/pid" || exit 126
exec 2>/dev/null
if [ -z "$katib_stopped" ]; then (exec "$@" 2>&1); katib_code=$?; else katib_code=143; fi
echo "$katib_code" >"$katib_attempt/exit" && [ -z "$katib_stopped" ] && kill -KILL 0
exit "$katib_code"
"""


@dataclass(frozen=True, slots=True)
class Exit:
    """How the main process of an attempt ended.

    Attributes:
        code: its exit code; 128 and the signal's number for one that a signal ended.
        ended_at: when.
    """

    code: int
    ended_at: datetime


class Attempt:
    """The directory of one attempt. Holds no state of its own: every answer is read from the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock_path = str(directory / "lock")

    def acquire(self) -> int | None:
        """Takes the lock, making the directory when needed; None when the attempt has begun.

        Returns:
            A file descriptor that holds the lock; close it when the process has it, or when none was started.

        Raises:
            OSError: the directory cannot be written.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        if self.pid() is not None:
            os.close(descriptor)
            return None
        return descriptor

    def spawn(
        self,
        argv: Sequence[str],
        *,
        lock: int,
        output: Path,
        working_directory: Path,
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Starts the process group; it holds the lock from its first moment.

        Args:
            argv: program, by its absolute path, and arguments.
            lock: what `acquire` returned.
            output: file that standard output and error are appended to.
            working_directory: where it runs.
            environment: all of it.
            inherited: further file descriptors that its processes are to hold.

        Raises:
            OSError: the host cannot start a process.
            ValueError: a word or value cannot be handed to a process (it holds a NUL character).
        """
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                [SHELL, "-c", _WRAPPER, "katib-trial", str(self.directory), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=working_directory,
                env=environment,
                pass_fds=(lock, *inherited),
                start_new_session=True,
            )
        finally:
            os.close(log)

    def pid(self) -> int | None:
        """Leader and id of the process group; None before the wrapper has written it."""
        line = _complete_line(self.directory / "pid")
        return int(line) if line and line.isdigit() else None

    def started_at(self) -> datetime | None:
        """When the process group was started; None when it was not."""
        return _modified(self.directory / "pid")

    def exit(self) -> Exit | None:
        """How the main process ended; None while it runs, and when its wrapper was killed with it."""
        path = self.directory / "exit"
        line = _complete_line(path)
        if not line or not line.isdigit():
            return None
        return Exit(int(line), _modified(path) or datetime.now(UTC))

    def is_held(self) -> bool:
        """Whether a process of the attempt is alive."""
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    def was_started(self) -> bool:
        """Whether its process was started, or is being started now."""
        return self.pid() is not None or self.is_held()


def signal_group(group: int, number: int) -> bool:
    """Sends a signal to a process group; False when there is no such group any more."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers with EPERM when only zombies are left.
        return False
    return True


def _complete_line(path: Path) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="ascii")
        if text.endswith("\n"):
            return text.strip()
    return None


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
