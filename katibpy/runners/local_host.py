"""What all runs of one local runner share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from katibpy.ports import Clock
from katibpy.runners.alarms import Alarms
from katibpy.runners.checkpoints import Checkpoints
from katibpy.runners.execution import Execution
from katibpy.runners.free_disk import FreeDisk
from katibpy.runners.memory_limits import MemoryLimits
from katibpy.runners.slots import Slots
from katibpy.runners.stragglers import Sweeper


@dataclass(frozen=True, slots=True)
class Host:
    """What all runs of one runner share.

    Attributes:
        clock: tells when.
        alarms: calls back for deadlines and grace periods.
        sweeper: ends what left its process group.
        slots: hands out GPUs, cpus and memory.
        memory: keeps trials to the memory they may use.
        disk: tells whether there is room for another trial.
        execution: makes processes of jobs.
        environment: that trials get below their own.
        search_path: where commands are looked for when the trial sets no PATH.
        grace_seconds: tells the time between SIGTERM and SIGKILL when the job does not.
        retry_delay_seconds: before the second attempt; doubles with each further one.
        checkpoints: makes and keeps the directories in which trials begin and leave their checkpoints.
    """

    clock: Clock
    alarms: Alarms
    sweeper: Sweeper
    slots: Slots
    memory: MemoryLimits
    disk: FreeDisk
    execution: Execution
    environment: Mapping[str, str]
    search_path: str
    grace_seconds: Callable[[], float]
    retry_delay_seconds: float
    checkpoints: Checkpoints
