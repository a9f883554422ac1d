"""Collects broken rules while a resource is looked at, and says values the way messages do."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from katibpy.api.paths import did_you_mean
from katibpy.errors import FieldError

_MAX_SHOWN = 120


class Problems:
    """Broken rules, in the order they were found."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def add(self, path: str, message: str) -> None:
        """Note a broken rule; `message` reads on after the path."""
        self.errors.append(FieldError(path, message))

    def require(self, path: str, value: str) -> bool:
        """Note it when a text is empty; whether it is not."""
        if value.strip():
            return True
        self.add(path, "must be set, got nothing" if not value else f"must not be blank, got {value!r}")
        return False

    def one_of(self, path: str, value: str, allowed: Collection[str]) -> bool:
        """Note it when a value is not one of the allowed words; whether it is."""
        if value in allowed:
            return True
        if value:
            hint = did_you_mean(value, allowed)
            self.add(path, f"must be one of {', '.join(allowed)}, got {shown(value)}{hint}")
        else:
            self.add(path, f"must be one of {', '.join(allowed)}, got nothing")
        return False

    def distinct(self, path: str, values: Iterable[str], what: str, field: str = "") -> None:
        """Note every value that came up before; empty ones are another rule's business."""
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            if value and value in first:
                self.add(
                    f"{path}[{index}]{field}",
                    f"must be a {what} that is not used before, got {shown(value)}, "
                    f"which {path}[{first[value]}] has; remove or rename one",
                )
            first.setdefault(value, index)


def shown(value: object) -> str:
    """A value in a message, cut when it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
