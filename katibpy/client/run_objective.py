"""Runs an objective in a trial's process: `python -P -m katibpy.client.run_objective PAYLOAD name=value ...`.

Imports as little as it can, because every trial pays for it.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import pickle
import stat
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

_ACCESS_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def main(arguments: Sequence[str]) -> int:
    """Calls the objective once and prints what it returns as metrics.

    Returns:
        Exit code: 0, or 1 when the objective, or getting it to run, failed.
    """
    path, *words = arguments
    # First of all, so that nothing that is imported keeps the one it replaces.
    sys.stdout = out = _Output()
    try:
        payload = read_payload(path)
        _prepare(payload)
        objective, constants = pickle.loads(payload["call"])
        choices = pickle.loads(payload["choices"])
    except Exception as err:  # noqa: BLE001 - any module may be imported here
        _show(err, "the objective could not be loaded in a process of its own")
        return 1
    try:
        parameters = {**constants, **_parameters(payload["kinds"], choices, words)}
        result = objective(**parameters) if payload["by_name"] else objective(parameters)
        lines = _lines(result, payload["metric"])
    except Exception as err:  # noqa: BLE001 - it is the user's own
        out.flush()
        _show(err)
        return 1
    out.report(lines)
    return 0


class _Output(io.TextIOWrapper):
    """Standard output that knows whether a line has been begun: a metric needs one of its own."""

    def __init__(self) -> None:
        super().__init__(
            sys.stdout.buffer, encoding=sys.stdout.encoding, errors="backslashreplace", write_through=True
        )
        self._is_begun = False

    def write(self, text: str, /) -> int:
        """Writes."""
        if text:
            self._is_begun = not text.endswith("\n")
        return super().write(text)

    def report(self, lines: Sequence[str]) -> None:
        """Writes lines of their own."""
        if self._is_begun and lines:
            self.write("\n")
        self.write("".join(f"{line}\n" for line in lines))
        self.flush()


def read_payload(path: str) -> Mapping[str, Any]:
    """The payload, if nobody else can have written it: unpickling runs what is in it.

    Raises:
        PermissionError: others may write or read it.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & _ACCESS_OF_OTHERS:
            mode = stat.filemode(status.st_mode)
            raise PermissionError(f"{path} must be this user's alone (-rw-------), got {mode}")
        payload: Mapping[str, Any] = pickle.load(file)
        return payload


def _prepare(payload: Mapping[str, Any]) -> None:
    """Makes this process look for modules and files where the caller did."""
    sys.path[:] = payload["search_path"]
    for name, source in payload["sources"].items():
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    os.chdir(payload["directory"])


def _parameters(
    kinds: Mapping[str, str], choices: Mapping[str, Mapping[str, object]], words: Sequence[str]
) -> dict[str, object]:
    found: dict[str, object] = {}
    for (name, kind), word in zip(kinds.items(), words, strict=True):
        text = word.removeprefix(f"{name}=")
        if name in choices:
            found[name] = choices[name][text]
        else:
            found[name] = _whole(text) if kind == "int" else float(text)
    return found


def _whole(text: str) -> int:
    with contextlib.suppress(ValueError):
        return int(text)
    return round(float(text))


def _lines(result: object, metric: str) -> list[str]:
    """What the objective returned, as lines that the collector reads."""
    if result is None:
        return []
    if isinstance(result, Mapping):
        return [f"{name}={_number(value, f'metric {name!r}')}" for name, value in result.items()]
    return [f"{metric}={_number(result, 'what it returns')}"]


def _number(value: Any, what: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str | bytes):
        with contextlib.suppress(TypeError, ValueError):
            return repr(float(value))
    raise TypeError(
        f"the objective must return a number, a dict of numbers by metric name, or nothing; "
        f"{what} is of type {type(value).__name__}"
    )


def _show(err: BaseException, what: str = "") -> None:
    """Prints an exception as Python does, without the lines of this module."""
    if what:
        sys.stderr.write(f"{what}:\n")
    traceback.print_exception(type(err), err, _without_own(err.__traceback__))
    sys.stderr.flush()


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
