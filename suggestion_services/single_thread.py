"""Linear algebra on one thread, for as long as it is wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SingleThread:
    """Keeps the BLAS libraries of this process to one thread while at least one block is entered.

    The matrices of a surrogate model are small: more threads wait for each other longer than they
    compute, above all when other requests and trials want the cores too, and how many there are would
    show in the last digits of a reply. `_lock` guards the count of blocks and the limits.
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
        from threadpoolctl import ThreadpoolController

        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                # Finding the libraries takes longer than limiting them; they do not go away again.
                self._controller = self._controller or ThreadpoolController()
                self._limits = self._controller.limit(limits=1, user_api="blas")

    def _leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                self._limits.restore_original_limits()


single_thread = SingleThread()
"""The one of this process."""
