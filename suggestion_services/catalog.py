"""The search algorithms that come with this distribution: one row each."""

from __future__ import annotations

from katibpy.catalog import Row

ROWS = (
    Row(
        "random",
        "suggestion_services.random_search:RandomSearch",
        summary="independent draws; a finite space is never repeated",
    ),
)
