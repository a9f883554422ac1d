"""What all tests have in common: they claim GPUs, cpus and memory of this machine among themselves only."""

from __future__ import annotations

import signal
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


@pytest.fixture(scope="session", autouse=True)
def heeded_interrupts() -> None:
    """A shell ignores SIGINT in what it runs in the background, and whatever that starts inherits it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
