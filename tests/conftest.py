"""What all tests have in common: they claim GPUs, cpus and memory of this machine among themselves only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def slot_directory() -> Iterator[Path]:
    """Where this session notes its claims, its child processes too."""
    with tempfile.TemporaryDirectory(prefix="katib-slots-") as directory:
        patch = pytest.MonkeyPatch()
        patch.setenv("KATIB_SLOT_DIR", directory)
        yield Path(directory)
        patch.undo()
