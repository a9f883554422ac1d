"""Two programs hand out the same GPUs: none is over-committed, and nobody starves."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from katibpy.runners.demand import WHOLE
from tests.integration import slot_crowd

EACH = 500
SEEDS = ("1", "2")
MOST_OVERTAKEN = 60


def run_crowds(directory: Path) -> list[list[str]]:
    log = directory / "log"
    command = [sys.executable, str(Path(slot_crowd.__file__)), str(directory / "slots"), str(log)]
    programs = [subprocess.Popen([*command, seed, str(EACH)]) for seed in SEEDS]
    try:
        assert [program.wait(timeout=50) for program in programs] == [0, 0]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    return [line.split(" ") for line in log.read_text().splitlines()]


def overtaken(asked: Sequence[str], started: Sequence[str]) -> dict[str, int]:
    """How many of those that asked later started earlier, for each."""
    place = {key: number for number, key in enumerate(asked)}
    return {
        key: sum(place[other] > place[key] for other in started[:number])
        for number, key in enumerate(started)
    }


@pytest.mark.timeout(120)
def test_a_thousand_claims_of_two_programs_never_overcommit_a_device_and_never_starve(tmp_path: Path) -> None:
    lines = run_crowds(tmp_path)
    events = Counter(line[0] for line in lines)
    assert events == {"ask": 2 * EACH, "start": 2 * EACH, "end": 2 * EACH}
    used: Counter[str] = Counter()
    fullest = 0
    for event, key, share, devices in lines:
        if event == "ask":
            continue
        assert devices, f"{key} got nothing"
        for device in devices.split(","):
            used[device] += int(share) if event == "start" else -int(share)
            assert used[device] <= WHOLE, f"{device} was given out beyond the whole when {key} came"
            fullest = max(fullest, used[device])
    assert not any(used.values())
    assert fullest == WHOLE
    both = {line[1].partition("/")[0] for line in lines[: len(lines) // 2]}
    assert both == set(SEEDS), "the programs must have run at the same time"
    asked = [line[1] for line in lines if line[0] == "ask"]
    started = [line[1] for line in lines if line[0] == "start"]
    worst = max(overtaken(asked, started).values())
    assert worst <= MOST_OVERTAKEN, f"somebody was overtaken {worst} times"
    assert list((tmp_path / "slots").iterdir()) == []
