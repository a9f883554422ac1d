from __future__ import annotations

from collections.abc import Iterator

import pytest

from katibpy.testing.probe_processes import ProbeFailedError, ProbeProcesses

REQUEST = ("random", "finite", "4", "2")


@pytest.fixture(scope="module")
def processes() -> Iterator[ProbeProcesses]:
    processes = ProbeProcesses()
    yield processes
    processes.close()


def test_one_process_answers_again_after_an_algorithm_failed_there(processes: ProbeProcesses) -> None:
    before = processes.ask(REQUEST, hash_seed=1)
    assert len(before) == 4
    with pytest.raises(ProbeFailedError, match="no-such-algorithm"):
        processes.ask(("no-such-algorithm", *REQUEST[1:]), hash_seed=1)
    assert processes.ask(REQUEST, hash_seed=1) == before


def test_a_process_that_ends_without_an_answer_is_told_and_replaced(processes: ProbeProcesses) -> None:
    before = processes.ask(REQUEST, hash_seed=1)
    with pytest.raises(ProbeFailedError, match=r"(?s)ended with status 1 .*not enough values"):
        processes.ask((), hash_seed=1)
    assert processes.ask(REQUEST, hash_seed=1) == before
