"""The local runner keeps all its promises also when every trial needs a part of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.runners.devices import Device, FixedDevices
from katibpy.runners.host_room import HostRoom
from katibpy.runners.local import LocalRunner
from katibpy.runners.slot_table import SlotTable
from katibpy.runners.slots import Slots
from katibpy.testing.runner_suite import CHECKS, Behaviour, Check
from tests.conformance.test_runners import LocalSubject

ROOM = HostRoom(cpu_mask=0b11111111, memory=2**40)
DEVICES = [Device(f"GPU-{number}", str(number)) for number in range(8)]
LIMITS = {"nvidia.com/gpu": 1, "cpu": "100m", "memory": "4Gi"}


class DemandingSubject(LocalSubject):
    def _make(self) -> LocalRunner:
        slots = Slots(FixedDevices(DEVICES), room=ROOM, table=SlotTable(self._directory / "slots"))
        return LocalRunner(self._directory / "runs", clock=SystemClock(), stop_grace_seconds=2, slots=slots)

    def trial(self, name: str, behaviour: Behaviour, *, uid: str = "") -> Trial:
        plain = super().trial(name, behaviour, uid=uid)
        job: dict[str, Any] = plain.spec.run_spec
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        demanding = {**pod, "containers": [{**container, "resources": {"limits": LIMITS}}]}
        spec = {**job["spec"], "template": {"spec": demanding}}
        return plain.but(spec=plain.spec.but(run_spec={**job, "spec": spec}))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_promise_holds_for_trials_that_need_slots(check: Check, tmp_path: Path) -> None:
    subject = DemandingSubject(tmp_path)
    try:
        check.run(subject)
    finally:
        subject.runner.close(stop_runs=True)
