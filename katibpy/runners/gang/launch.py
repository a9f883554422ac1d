"""The program that keeps the processes of one gang: `python -P -m katibpy.runners.gang.launch PLAN`.

It starts all of them or none, and ends with the exit code of the first that failed, after it has ended the
others. It is the main process of an attempt, so all are in one process group and hold the attempt's lock: a
signal to the group reaches all, and nothing of them outlives it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from katibpy.runners.gang.plan import GangFailure, GangPlan, Member

_TERMINATED_CODE = 128 + signal.SIGTERM
_CANNOT_START_CODE = 126
_TAIL_BYTES = 8192
_LONGEST_LINE = 500


class Gang:
    """The processes of a plan. All methods are called by the main thread; each process has one that waits."""

    def __init__(self, plan: GangPlan) -> None:
        self._plan = plan
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: queue.SimpleQueue[tuple[Member, int]] = queue.SimpleQueue()
        self._leading = {member.name for member in plan.members if member.leads}
        self._due: float | None = None
        self._is_told = False
        self.is_stopped = False
        self.failure: GangFailure | None = None

    def note_signal(self, number: int, frame: FrameType | None) -> None:
        """Signal handler. The whole process group was told, so nothing has to be handed on."""
        self.is_stopped = True

    def run(self) -> int:
        """Starts all and returns the gang's exit code when none is left."""
        for member in self._plan.members:
            if self.is_stopped or not self._start(member):
                self._tell(set(self._processes), self._plan.grace_seconds)
                break
        self._wait()
        if self.is_stopped:
            return _TERMINATED_CODE
        return 0 if self.failure is None else self.failure.code

    def _start(self, member: Member) -> bool:
        try:
            with contextlib.ExitStack() as stack:
                output = None
                if member.output is not None:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                    output = os.open(member.output, flags, 0o600)
                    stack.callback(os.close, output)
                process = subprocess.Popen(
                    member.argv,
                    cwd=member.working_directory,
                    env={**os.environ, **member.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # What this program inherited, the attempt's lock above all, is for its children.
                    close_fds=False,
                )
        except (OSError, ValueError) as error:
            self.failure = GangFailure(member.name, _CANNOT_START_CODE, problem=str(error))
            return False
        self._processes[member.name] = process
        threading.Thread(target=self._watch, args=(member, process), daemon=True).start()
        return True

    def _watch(self, member: Member, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        self._ended.put((member, code if code >= 0 else 128 - code))

    def _wait(self) -> None:
        alive = set(self._processes)
        while alive:
            left = None if self._due is None else max(0.0, self._due - time.monotonic())
            try:
                member, code = self._ended.get(timeout=left)
            except queue.Empty:
                self._lose_patience(alive)
                continue
            alive.discard(member.name)
            if not self.is_stopped:
                self._judge(member, code, alive)

    def _judge(self, member: Member, code: int, alive: set[str]) -> None:
        if self.failure is not None or not self._leading:
            return
        if code:
            self.failure = GangFailure(member.name, code, last_line=_last_line(member))
            self._tell(alive, self._plan.grace_seconds)
            return
        self._leading.discard(member.name)
        if not self._leading:
            serving = {each.name for each in self._plan.members if each.serves}
            self._send(alive & serving, signal.SIGTERM)
            self._due = time.monotonic() + self._plan.linger_seconds

    def _lose_patience(self, alive: set[str]) -> None:
        if self._is_told:
            self._send(alive, signal.SIGKILL)
            self._due = None
        else:
            self._tell(alive, self._plan.grace_seconds)

    def _tell(self, names: set[str], grace_seconds: float) -> None:
        self._is_told = True
        self._send(names, signal.SIGTERM)
        self._due = time.monotonic() + grace_seconds

    def _send(self, names: set[str], number: int) -> None:
        for name in names:
            # As in a pod, its first process is told; what that leaves behind is killed with the group.
            self._processes[name].send_signal(number)


def _last_line(member: Member) -> str:
    if member.output is None:
        return ""
    with contextlib.suppress(OSError), open(member.output, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
        return next((line.strip()[:_LONGEST_LINE] for line in reversed(lines) if line.strip()), "")
    return ""


def main() -> int:
    """Runs the plan whose file is named on the command line."""
    path = Path(sys.argv[1])
    gang = Gang(GangPlan.load(path))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, gang.note_signal)
    code = gang.run()
    if gang.failure is not None and not gang.is_stopped:
        with contextlib.suppress(OSError):
            gang.failure.save(path.parent)
    return code


if __name__ == "__main__":
    sys.exit(main())
