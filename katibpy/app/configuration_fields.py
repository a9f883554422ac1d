"""Reads fields of a configuration file: each is there as it must be, or the file is refused by its path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class Wrong(Exception):
    """A field breaks a rule; the message begins with its path."""


def fields(value: Any, path: str, known: Iterable[str]) -> Mapping[str, Any]:
    """A mapping that has none but the known fields; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Wrong(f"{path} must be a mapping, got {value!r}")
    names = tuple(known)
    for name in value:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(names)}"
            raise Wrong(f"{path} has no field {name!r}{hint}")
    return value


def items(value: Any, path: str) -> list[Any]:
    """A list; nothing is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Wrong(f"{path} must be a list, got {value!r}")
    return value


def text(value: Any, path: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong(f"{path} must be a text, got {value!r}")
    return value


def texts(value: Any, path: str) -> tuple[str, ...]:
    """A list of texts; nothing is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Wrong(f"{path} must be a list of texts, got {value!r}")
    return tuple(value)


def flag(value: Any, path: str) -> bool:
    """A truth value; nothing is False."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Wrong(f"{path} must be true or false, got {value!r}")
    return value


def seconds(value: Any, path: str) -> float | None:
    """A number of seconds above 0; nothing is None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise Wrong(f"{path} must be a number of seconds above 0, got {value!r}")
    return float(value)


def file_path(value: Any, path: str, base: Path) -> Path:
    """A path, relative to `base`; `~` is the home directory."""
    return base / Path(text(value, path)).expanduser()
