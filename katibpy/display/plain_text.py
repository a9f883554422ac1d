"""Text that others wrote, made fit for a line of ours: no escape sequences, nothing that moves the cursor."""

from __future__ import annotations

import re

ELLIPSIS = "…"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def one_line(text: str) -> str:
    """A text without line breaks, escape sequences and other control characters."""
    return " ".join(clean(text).split("\n"))


def clean(text: str) -> str:
    """A text without escape sequences and control characters, its line breaks kept."""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\t", "    ").split("\n")
    # A progress bar rewrites its line with carriage returns: what stands there last is what was seen.
    return "\n".join(_CONTROLS.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def cut(text: str, room: int) -> str:
    """The text, with an ellipsis where it is longer than the room."""
    return text if len(text) <= room else text[: max(room - 1, 0)] + ELLIPSIS
