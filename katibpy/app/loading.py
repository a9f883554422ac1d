"""Loading many modules at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without the garbage collector, and with what was made left out of all later collections.

    What modules define stays for good; looking through it again and again is a fifth of the time that
    loading takes. Only for the start of a program: the garbage of other threads waits as well.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
