"""How many cpus and how much memory this program, and so its trials, may use."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostRoom:
    """The size of this host as this program sees it.

    Attributes:
        cpu_mask: the cpus that it may run on, a bit each.
        memory: bytes of main memory.
    """

    cpu_mask: int
    memory: int

    @property
    def cpus(self) -> int:
        """How many cpus."""
        return self.cpu_mask.bit_count()


def host_room() -> HostRoom:
    """This host, less the cpus that this program was kept from (taskset, a batch system)."""
    if hasattr(os, "sched_getaffinity"):
        mask = sum(1 << cpu for cpu in os.sched_getaffinity(0))
    else:
        mask = (1 << (os.cpu_count() or 1)) - 1
    return HostRoom(cpu_mask=mask, memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "PYTHON_CPU_COUNT",
)
"""What numeric libraries, joblib and Python read to learn how many threads or processes to start."""


def thread_environment(cpu_limit: int, room: HostRoom) -> dict[str, str]:
    """The variables that keep a trial to its cpus.

    Args:
        cpu_limit: thousandths of a cpu; a part of one counts as one.
        room: more than this host has helps nobody.
    """
    threads = str(max(1, min(-(-cpu_limit // 1000), room.cpus)))
    return dict.fromkeys(THREAD_VARIABLES, threads)
