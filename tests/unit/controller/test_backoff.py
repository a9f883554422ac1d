"""Failures in a row, and how long a key is left alone."""

from __future__ import annotations

from katibpy.controller.backoff import Backoff
from katibpy.ports import Key
from katibpy.runners.virtual_clock import VirtualClock

A: Key = ("Suggestion", "default", "a")
B: Key = ("Suggestion", "default", "b")


def test_failures_are_counted_for_each_key_until_it_succeeds() -> None:
    backoff = Backoff(VirtualClock())
    assert [backoff.failed(A), backoff.failed(A), backoff.failed(B)] == [1, 2, 1]
    backoff.succeeded(A)
    assert [backoff.failed(A), backoff.failed(B)] == [1, 2]


def test_a_postponed_key_is_left_alone_for_that_long() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock)
    assert backoff.seconds_left(A) == 0
    backoff.postpone(A, 2.0)
    clock.advance_to(0.5)
    assert backoff.seconds_left(A) == 1.5
    assert backoff.seconds_left(B) == 0
    clock.advance_to(3.0)
    assert backoff.seconds_left(A) == 0


def test_success_ends_the_postponement() -> None:
    backoff = Backoff(VirtualClock())
    backoff.postpone(A, 2.0)
    backoff.succeeded(A)
    assert backoff.seconds_left(A) == 0
