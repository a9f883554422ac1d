"""PyTorch and linear algebra on one thread, for as long as it is wanted; needs PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from suggestion_services.single_thread import single_thread


class OneThread:
    """Keeps PyTorch and BLAS to one thread while at least one block is entered.

    The process may be a notebook that trains with PyTorch, so the number is given back. `_lock` guards the
    count of blocks and the number.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._before = 1

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within the block there is one thread; on the processor, whatever the default device is."""
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._before = torch.get_num_threads()
                torch.set_num_threads(1)
        try:
            with single_thread(), torch.device("cpu"):
                yield
        finally:
            with self._lock:
                self._blocks -= 1
                if self._blocks == 0:
                    torch.set_num_threads(self._before)


one_thread = OneThread()
"""The one of this process."""
