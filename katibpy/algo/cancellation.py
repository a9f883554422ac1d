"""How a long computation learns that nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from katibpy.algo.algorithm import Cancellation
from katibpy.errors import DeadlineExceeded

_CURRENT: ContextVar[Cancellation | None] = ContextVar("katibpy_cancellation", default=None)


@contextmanager
def cancellable(by: Cancellation) -> Iterator[None]:
    """Within the block, `stop_if_cancelled` heeds `by`. A host of algorithms wraps each call so."""
    token = _CURRENT.set(by)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stop_if_cancelled() -> None:
    """Ends the computation when its caller has gone. An algorithm calls it now and then in long loops.

    It never changes a reply: it returns, or there is none.

    Raises:
        DeadlineExceeded: the caller has gone or its deadline has passed.
    """
    cancellation = _CURRENT.get()
    if cancellation is not None and cancellation.is_cancelled():
        raise DeadlineExceeded("the caller has gone or its deadline has passed; the work was dropped")
