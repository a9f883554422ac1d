"""What integration tests have in common: a service of the algorithms for runs that need none of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_here import AlgorithmAddress, CommandHere, served_algorithms


@pytest.fixture(scope="session")
def algorithms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlgorithmAddress]:
    """Where algorithms are served; started by the first test that wants it."""
    with served_algorithms(tmp_path_factory.mktemp("algorithms")) as served:
        yield served


@pytest.fixture
def here(tmp_path: Path, algorithms: AlgorithmAddress) -> CommandHere:
    """The command in this process, in the test's own folder."""
    return CommandHere(tmp_path, algorithms)
