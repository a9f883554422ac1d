"""What a case of a broken Experiment is, and how one is made from a good one."""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.api.valid_cases import usual


class Case(NamedTuple):
    """A file that must be refused.

    Attributes:
        id: the rule it breaks.
        text: the YAML.
        path: the field that the error names.
        fragments: what the message has in it, the rule and the value above all.
    """

    id: str
    text: str
    path: str
    fragments: tuple[str, ...]


def swap(old: str, new: str, text: str | None = None) -> str:
    """The text, or else an Experiment that is right, with the first `old` replaced."""
    source = usual("broken") if text is None else text
    if old not in source:
        raise ValueError(f"nothing to replace: {old!r}")
    return source.replace(old, new, 1)
