"""Each key once, never in two hands, timers included."""

from __future__ import annotations

import threading
import time
from collections import Counter

from katibpy.app.clock import SystemClock
from katibpy.controller.key_queue import KeyQueue
from katibpy.ports import Key
from katibpy.runners.virtual_clock import VirtualClock

A: Key = ("Trial", "default", "a")
B: Key = ("Trial", "default", "b")
C: Key = ("Trial", "default", "c")


def drained(queue: KeyQueue) -> list[Key]:
    """Everything that can be taken now, in order; nothing stays in hand."""
    taken = []
    while (key := queue.take(timeout_seconds=0)) is not None:
        taken.append(key)
        queue.done(key)
    return taken


def test_keys_come_in_the_order_they_were_added() -> None:
    queue = KeyQueue(VirtualClock())
    for key in (B, A, C):
        queue.add(key)
    assert drained(queue) == [B, A, C]


def test_a_key_that_waits_already_is_not_added_again() -> None:
    queue = KeyQueue(VirtualClock())
    for key in (A, B, A, A):
        queue.add(key)
    assert drained(queue) == [A, B]


def test_no_more_keys_of_a_kind_are_in_hand_than_may_be() -> None:
    queue = KeyQueue(VirtualClock(), at_most={"Suggestion": 2})
    asked: list[Key] = [("Suggestion", "default", name) for name in ("a", "b", "c")]
    for key in (*asked, A):
        queue.add(key)
    assert [queue.take(timeout_seconds=0) for _ in range(4)] == [asked[0], asked[1], A, None]
    queue.done(asked[1])
    assert queue.take(timeout_seconds=0) == asked[2]


def test_a_key_added_while_in_hand_comes_back_once_when_it_is_done() -> None:
    queue = KeyQueue(VirtualClock())
    queue.add(A)
    assert queue.take(timeout_seconds=0) == A
    queue.add(A)
    queue.add(A)
    assert queue.take(timeout_seconds=0) is None
    queue.done(A)
    assert drained(queue) == [A]


def test_a_key_does_not_come_back_for_what_was_added_before_it_was_looked_at_again() -> None:
    queue = KeyQueue(VirtualClock())
    queue.add(A)
    assert queue.take(timeout_seconds=0) == A
    queue.add(A)
    queue.looked_again(A)
    queue.done(A)
    assert drained(queue) == []
    queue.add(A)
    assert queue.take(timeout_seconds=0) == A
    queue.looked_again(A)
    queue.add(A)
    queue.done(A)
    assert drained(queue) == [A]


def test_a_timer_brings_its_key_when_it_is_due_and_only_once() -> None:
    clock = VirtualClock()
    queue = KeyQueue(clock)
    queue.add_after(A, 2.0)
    clock.advance_to(1.9)
    assert drained(queue) == []
    assert queue.seconds_until_due() == 2.0 - 1.9
    clock.advance_to(2.0)
    assert drained(queue) == [A]
    clock.advance_to(99.0)
    assert drained(queue) == []
    assert queue.seconds_until_due() is None


def test_of_several_timers_of_a_key_the_earliest_counts() -> None:
    clock = VirtualClock()
    queue = KeyQueue(clock)
    for delay in (5.0, 2.0, 9.0):
        queue.add_after(A, delay)
    clock.advance_to(2.0)
    assert drained(queue) == [A]
    clock.advance_to(20.0)
    assert drained(queue) == []


def test_a_key_that_waits_already_is_not_doubled_by_its_timer() -> None:
    clock = VirtualClock()
    queue = KeyQueue(clock)
    queue.add_after(A, 1.0)
    queue.add(A)
    clock.advance_to(1.0)
    assert drained(queue) == [A]


def test_a_timer_that_is_due_while_its_key_is_in_hand_waits_for_it() -> None:
    clock = VirtualClock()
    queue = KeyQueue(clock)
    queue.add(A)
    assert queue.take(timeout_seconds=0) == A
    queue.add_after(A, 1.0)
    clock.advance_to(1.0)
    assert queue.take(timeout_seconds=0) is None
    queue.done(A)
    assert drained(queue) == [A]


def test_it_is_idle_when_nothing_waits_and_nothing_is_in_hand() -> None:
    clock = VirtualClock()
    queue = KeyQueue(clock)
    assert queue.is_idle()
    queue.add(A)
    assert not queue.is_idle()
    queue.take(timeout_seconds=0)
    assert not queue.is_idle()
    queue.done(A)
    queue.add_after(A, 1.0)
    assert queue.is_idle()
    clock.advance_to(1.0)
    assert not queue.is_idle()


def test_a_closed_queue_gives_nothing_and_lets_everybody_go() -> None:
    queue = KeyQueue(SystemClock())
    taken: list[Key | None] = []
    threads = [
        threading.Thread(target=lambda: taken.append(queue.take(timeout_seconds=None))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(4)
    assert taken == [None, None, None]
    queue.add(A)
    assert queue.take(timeout_seconds=None) is None


def test_waiting_ends_at_the_timeout() -> None:
    queue = KeyQueue(SystemClock())
    before = time.monotonic()
    assert queue.take(timeout_seconds=0.05) is None
    assert 0.05 <= time.monotonic() - before < 3


def test_a_waiting_thread_gets_a_key_as_soon_as_it_is_added_or_due() -> None:
    queue = KeyQueue(SystemClock())
    taken: list[Key | None] = []

    def take_two() -> None:
        taken.extend(queue.take(timeout_seconds=None) for _ in range(2))

    thread = threading.Thread(target=take_two)
    thread.start()
    queue.add_after(B, 0.05)
    queue.add(A)
    thread.join(4)
    assert taken == [A, B]


def test_keys_that_are_due_together_reach_as_many_threads() -> None:
    # The first thread does not give its key back before the second has one too.
    queue = KeyQueue(SystemClock())
    both = threading.Barrier(2, timeout=4)
    passed: list[Key | None] = []

    def take() -> None:
        key = queue.take(timeout_seconds=None)
        both.wait()
        passed.append(key)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue.add_after(A, 0.05)
    queue.add_after(B, 0.05)
    for thread in threads:
        thread.join(4)
    queue.close()
    assert sorted(key for key in passed if key) == [A, B]


def test_many_threads_never_share_a_key_and_lose_none() -> None:
    queue = KeyQueue(SystemClock())
    keys: list[Key] = [("Trial", "default", str(number)) for number in range(20)]
    lock = threading.Lock()
    wanted: Counter[Key] = Counter()
    handled: Counter[Key] = Counter()
    in_hand: set[Key] = set()
    shared: list[Key] = []

    def work() -> None:
        while (key := queue.take(timeout_seconds=None)) is not None:
            with lock:
                if key in in_hand:
                    shared.append(key)
                in_hand.add(key)
                seen = wanted[key]
            with lock:
                # What was wanted up to the moment it was taken has been looked at now.
                handled[key] = max(handled[key], seen)
                in_hand.discard(key)
            queue.done(key)

    def want(offset: int) -> None:
        for turn in range(400):
            key = keys[(turn * 7 + offset) % len(keys)]
            with lock:
                wanted[key] += 1
            if turn % 3:
                queue.add(key)
            else:
                queue.add_after(key, 0.001 * (turn % 5))

    workers = [threading.Thread(target=work) for _ in range(6)]
    producers = [threading.Thread(target=want, args=(offset,)) for offset in range(4)]
    for thread in (*workers, *producers):
        thread.start()
    for thread in producers:
        thread.join(10)
    deadline = time.monotonic() + 10
    while (not queue.is_idle() or queue.seconds_until_due() is not None) and time.monotonic() < deadline:
        time.sleep(0.002)
    queue.close()
    for thread in workers:
        thread.join(10)
    assert shared == []
    assert handled == wanted
