from __future__ import annotations

import time
from pathlib import Path

import pytest

from katibpy.app.clock import SystemClock
from katibpy.app.housekeeping import Retention, TidyRunner
from katibpy.core.phases import TrialPhase
from katibpy.core.retention import KeepTrials
from katibpy.core.runs import RunPhase
from katibpy.runners.local import LocalRunner
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.testing import builders as build
from katibpy.testing.store_cases import with_phase


@pytest.mark.parametrize("policy", list(KeepTrials))
def test_a_run_that_was_let_go_of_takes_no_memory(tmp_path: Path, policy: KeepTrials) -> None:
    runner = LocalRunner(tmp_path, clock=SystemClock())
    tidy = TidyRunner(runner, Retention(MemoryResourceStore(SystemClock()), runner, tmp_path, policy))
    owner = build.as_stored(build.experiment())
    trial = build.trial(owner, 0)
    job = trial.spec.run_spec
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
    try:
        tidy.start(trial)
        deadline = time.monotonic() + 5
        while tidy.observe(trial).phase is not RunPhase.ENDED:
            assert time.monotonic() < deadline, tidy.observe(trial)
            time.sleep(0.002)
        tidy.remove(with_phase(trial, TrialPhase.SUCCEEDED))
        assert runner._runs == {}
    finally:
        tidy.close(stop_runs=True)
