"""Linear algebra on one thread, for as long as it is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SingleThread:
    """Keeps the BLAS libraries of this process to one thread while at least one block is entered.

    The matrices of a surrogate model are small: more threads wait for each other longer than they
    compute, above all when other requests and trials want the cores too, and how many there are would
    show in the last digits of a reply. `_lock` guards the count of blocks and the limits.

    Limits are set from threads that end at once: threadpoolctl lets only one thread change the pool that
    all share, the first that tried, for as long as it lives. (OpenBLAS over OpenMP has a number for each
    thread instead, which stays as it is.)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._controller: Any = None
        self._limits: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within the block, linear algebra has one thread; the last block that ends gives the others back."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                _from_another_thread(self._limit)

    def _leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                _from_another_thread(self._limits.restore_original_limits)

    def _limit(self) -> None:
        from threadpoolctl import ThreadpoolController

        # Finding the libraries takes longer than limiting them; they do not go away again.
        self._controller = self._controller or ThreadpoolController()
        self._limits = self._controller.limit(limits=1, user_api="blas")


def _from_another_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


single_thread = SingleThread()
"""The one of this process."""
