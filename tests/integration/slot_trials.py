"""Trials that ask for parts of a machine, and programs that run some of them; see `test_local_slots`.

As a program its arguments are: the table's directory, one for runs, a log, a seed, how many trials.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase
from katibpy.runners.devices import Device, FixedDevices
from katibpy.runners.host_room import HostRoom
from katibpy.runners.local import LocalRunner
from katibpy.runners.slot_table import SlotTable
from katibpy.runners.slots import Slots

FRACTION = "katib.kubeflow.org/gpu-fraction"
DEVICES = tuple(Device(f"GPU-{number}", str(number)) for number in range(4))
ROOM = HostRoom(cpu_mask=0b1111, memory=2**40)
TRIALS_AT_A_TIME = 6

# One write each, so that lines of several trials never mix.
NOTED = 'echo "start $0 $CUDA_VISIBLE_DEVICES" >>"$1"; sleep 0.02; echo "end $0 $CUDA_VISIBLE_DEVICES" >>"$1"'


def make_slots(table: Path, *, devices: int = len(DEVICES)) -> Slots:
    """Slots over a machine of four cpus."""
    return Slots(FixedDevices(DEVICES[:devices]), room=ROOM, table=SlotTable(table))


def make_trial(
    name: str,
    command: list[str],
    *,
    limits: dict[str, Any] | None = None,
    share: str | None = None,
    env: dict[str, str] | None = None,
    backoff_limit: int = 0,
) -> Trial:
    """A trial that asks for these."""
    container: dict[str, Any] = {"name": "main", "command": command}
    if limits:
        container["resources"] = {"limits": limits}
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    template: dict[str, Any] = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    if share:
        template["metadata"] = {"annotations": {FRACTION: share}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"backoffLimit": backoff_limit, "template": template},
    }
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=TrialSpec(run_spec=job))


def main(table: str, runs: str, log: str, seed: str, count: str) -> None:
    """Runs trials of random demands, a few at a time."""
    chance = random.Random(int(seed))
    runner = LocalRunner(Path(runs), clock=SystemClock(), slots=make_slots(Path(table)))
    waiting = [_random_trial(chance, f"t{seed}-{number}", log) for number in range(int(count))]
    active: list[Trial] = []
    while waiting or active:
        while waiting and len(active) < TRIALS_AT_A_TIME:
            active.append(waiting.pop())
            runner.start(active[-1])
        for trial in tuple(active):
            state = runner.observe(trial)
            if state.phase is RunPhase.ENDED:
                if state.reason != "Completed":
                    raise SystemExit(f"{trial.metadata.name}: {state.reason}: {state.message}")
                active.remove(trial)
                runner.remove(trial)
        time.sleep(0.005)
    runner.close(stop_runs=True)


def _random_trial(chance: random.Random, name: str, log: str) -> Trial:
    limits: dict[str, Any] = {}
    share = None
    if chance.random() < 0.5:
        limits["nvidia.com/gpu"] = chance.choice((1, 1, 2, 4))
    else:
        share = chance.choice(("0.25", "0.3", "0.5", "0.7"))
    if chance.random() < 0.3:
        limits["cpu"] = chance.choice(("500m", "1", "2"))
    whole = f"{limits.get('nvidia.com/gpu', 0)}"
    return make_trial(
        name, ["/bin/sh", "-c", NOTED, f"{name}/{share or whole}", log], limits=limits, share=share
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
