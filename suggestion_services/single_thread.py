"""Linear algebra on one thread, for as long as it is wanted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SingleThread:
    """Keeps the BLAS libraries of this process to one thread while at least one block is entered.

    The matrices of a surrogate model are small: more threads wait for each other longer than they
    compute, above all when other requests and trials want the cores too, and how many there are would
    show in the last digits of a reply. `_lock` guards the count of blocks and the libraries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._libraries: list[Any] = []
        self._modules = 0
        self._before: list[tuple[Any, int]] = []

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
                self._before = [(library, library.num_threads) for library in self._loaded()]
                for library, _ in self._before:
                    _set_threads(library, 1)

    def _leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                for library, threads in self._before:
                    _set_threads(library, threads)

    def _loaded(self) -> list[Any]:
        # Finding the libraries takes milliseconds, and they come with modules.
        if self._modules != len(sys.modules):
            from threadpoolctl import ThreadpoolController

            self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            self._modules = len(sys.modules)
        return self._libraries


def _set_threads(library: Any, threads: int) -> None:
    # In threadpoolctl 3.8 `set_num_threads` does nothing, without a word, but in the thread that first called
    # it, for as long as that lives. Requests come in any thread, and matrices of a fit take 20 times as long
    # when two threads of OpenBLAS wait for each other on busy cores.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


single_thread = SingleThread()
"""The one of this process."""
