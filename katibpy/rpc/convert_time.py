"""Moments <-> RFC 3339 texts."""

from __future__ import annotations

from datetime import UTC, datetime


def time_to_text(moment: datetime | None) -> str:
    """`2026-01-31T12:00:00Z`, with microseconds only where there are some; empty for None."""
    if moment is None:
        return ""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def time_from_text(text: str) -> datetime | None:
    """The moment; None for what is no RFC 3339 time, and a time without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
