"""Broken Experiments, one for each rule: what is wrong, where, and what the message has to say about it."""

from __future__ import annotations

from tests.unit.api import (
    malformed_collectors,
    malformed_documents,
    malformed_spaces,
    malformed_specs,
    malformed_templates,
)
from tests.unit.api.malformed_base import Case

CASES: list[Case] = [
    *malformed_documents.CASES,
    *malformed_specs.CASES,
    *malformed_spaces.CASES,
    *malformed_templates.CASES,
    *malformed_collectors.CASES,
]
"""Every broken file; a test of the command line uses them too."""
