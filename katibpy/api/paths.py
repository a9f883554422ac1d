"""Paths of fields as messages show them, and the nearest of several names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_LAST_STEP = re.compile(r'(\.[^.\[\]]*|\[\d+\]|\["(?:[^"\\]|\\.)*"\])$')
_STEP_END = re.compile(r"(?<!^)[.\[]")
_MAX_WORD = 64


def child_path(path: str, key: str) -> str:
    """`spec` and `seed` make `spec.seed`; a key with dots or the like is put in brackets and quotes."""
    if not _PLAIN_KEY.fullmatch(key):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def parent_path(path: str) -> str:
    """The path without its last key or index; empty at the top."""
    match = _LAST_STEP.search(path)
    return path[: match.start()] if match else ""


def is_within(path: str, outer: str) -> bool:
    """Whether a path is the outer one or leads inside it; everything is within the empty path."""
    return not outer or path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def first_step(path: str, outer: str) -> str:
    """The key or index that follows right after the outer path, of a path within it."""
    rest = path[len(outer) :].lstrip(".")
    return _STEP_END.split(rest, maxsplit=1)[0]


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that `word` most likely means, if any; case, `-` and `_` do not count."""
    if len(word) > _MAX_WORD:
        return None
    plain = {_plain(name): name for name in known}
    found = get_close_matches(_plain(word), plain, n=1, cutoff=cutoff)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?``, or nothing when no known name is near."""
    found = nearest(word, known)
    return f"; did you mean `{found}`?" if found else ""


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
