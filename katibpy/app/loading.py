"""Loading many modules at once, and how garbage is collected from then on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (10_000, 10, 10)
"""How many new objects there must be for a look at them, and how many looks for one at older ones.

Python's own 700 make it look through everything for every 70,000 new objects, again each time it has grown by
a quarter: a third of the work of a process that holds long histories. Nearly all our garbage is freed without
the collector; what is left for it may wait for a million objects, which is some tens of megabytes.
"""


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without the garbage collector, and with what was made left out of all later collections.

    What modules define stays for good; looking through it again and again is a fifth of the time that
    loading takes. Only for the start of a program of ours: the garbage of other threads waits as well, and
    what is made later is looked through less often, by `THRESHOLDS`.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.enable()
