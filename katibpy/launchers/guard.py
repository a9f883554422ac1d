"""A program that runs another one for as long as its own standard input is open, and never longer.

    python -I guard.py [--afterwards JSON] -- PROGRAM ARGUMENT...

Programs that are not ours do not watch whether their parent is still there, so this one does it for them: its
standard input is a pipe that the kernel closes however the parent ends. Then, and on SIGTERM, the program and
all processes of its group get SIGTERM, and soon SIGKILL. `--afterwards` is a command that takes away what
signals do not reach, such as a container; it is run at the end in any case. The program's output goes to
standard error; standard output says its process id, and `done` when nothing of it is left.

Run as a file, on the standard library alone: it must start at once and under any circumstances.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_GRACE_SECONDS = 1.5
_AFTERWARDS_SECONDS = 30


def main(words: Sequence[str]) -> int:
    """Runs the program; its exit code, 127 when there is no such program."""
    afterwards: list[str] = []
    if words and words[0] == "--afterwards":
        afterwards, words = json.loads(words[1]), words[2:]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        process = subprocess.Popen(
            list(words[1:]), stdin=subprocess.DEVNULL, stdout=2, stderr=2, start_new_session=True
        )
    except OSError as error:
        os.write(2, f"{error}\n".encode())
        return 127
    _say(str(process.pid))
    threading.Thread(target=_await_end_of_input, args=(stop,), daemon=True).start()
    threading.Thread(target=_await_end_of, args=(process, stop), daemon=True).start()
    stop.wait()
    _end(process)
    if afterwards:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                afterwards,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_AFTERWARDS_SECONDS,
                check=False,
            )
    _say("done")
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the group, which may outlive the program that it is named after."""
    group = process.pid
    if process.poll() is None:
        _signal(group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _signal(group, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    # On macOS a group of nothing but zombies refuses, which means the same.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _await_end_of_input(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()


def _await_end_of(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    # Waited for without being collected: its number must not be given to others before its group is ended.
    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()
    stop.set()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code < 0:
        # To die of the same signal says it to whoever looks after this program.
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
