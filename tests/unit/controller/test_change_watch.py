"""What others wrote is noticed; what the controller wrote itself is not news."""

from __future__ import annotations

import pytest

from katibpy.api.experiment import Experiment
from katibpy.controller.change_watch import ChangeWatch, News
from katibpy.errors import StoreError
from katibpy.runners.virtual_clock import VirtualClock
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.testing import builders as build
from katibpy.testing.port_faults import Faults, breakable

A = ("Experiment", "default", "a")


class Watched:
    """A store with a watch that looks every second and at everything unfinished every ten."""

    def __init__(self, *, changes_kept: int = 100) -> None:
        self.clock = VirtualClock()
        self.store = MemoryResourceStore(self.clock, changes_kept=changes_kept)
        self.faults = Faults()
        self.watch = ChangeWatch(
            breakable("store", self.store, self.faults), self.clock, poll_seconds=1, resync_seconds=10
        )

    def later(self, seconds: float) -> News:
        self.clock.advance_to(self.clock.monotonic() + seconds)
        return self.watch.look()

    def write(self, name: str) -> Experiment:
        found = self.store.find(Experiment, "default", name)
        if found is None:
            return self.store.create(build.experiment(name))
        more = (found.spec.parallel_trial_count or 0) + 1
        return self.store.replace_spec(found.but(spec=found.spec.but(parallel_trial_count=more)))


def test_what_others_wrote_is_told_once_each() -> None:
    watched = Watched()
    for name in ("a", "b", "a"):
        watched.write(name)
    assert watched.later(1).keys == (A, ("Experiment", "default", "b"))
    assert watched.later(1).keys == ()
    watched.store.delete(Experiment, "default", "a")
    assert watched.later(1).keys == (A,)


def test_it_looks_only_now_and_then() -> None:
    watched = Watched()
    watched.watch.look()
    watched.write("a")
    assert watched.later(0.9) == News()
    assert watched.later(0.1).keys == (A,)


def test_what_was_there_at_the_start_is_not_news() -> None:
    watched = Watched()
    watched.write("a")
    watched.watch.start()
    assert watched.later(1).keys == ()


def test_what_the_controller_wrote_itself_is_not_news_but_what_others_made_of_it_is() -> None:
    watched = Watched()
    watched.watch.wrote(watched.write("a").metadata.resource_version)
    assert watched.later(1).keys == ()
    watched.watch.wrote(watched.write("a").metadata.resource_version)
    watched.write("a")
    assert watched.later(1).keys == (A,)


def test_versions_that_are_no_numbers_are_never_taken_for_its_own() -> None:
    watched = Watched()
    watched.watch.wrote(None)
    watched.watch.wrote("abc")
    watched.write("a")
    assert watched.later(1).keys == (A,)


def test_missed_changes_are_told_and_it_goes_on_from_the_next_start() -> None:
    watched = Watched(changes_kept=3)
    watched.watch.start()
    for _ in range(5):
        watched.write("a")
    assert watched.later(1) == News(is_behind=True)
    watched.watch.start()
    watched.write("b")
    assert watched.later(1).keys == (("Experiment", "default", "b"),)


def test_it_is_time_to_look_at_everything_now_and_then() -> None:
    watched = Watched()
    due = [watched.later(1).is_due for _ in range(30)]
    assert [second for second, is_due in enumerate(due, start=1) if is_due] == [10, 20, 30]


def test_what_could_not_be_read_is_told_the_next_time() -> None:
    watched = Watched()
    watched.write("a")
    watched.faults.in_calls(1, event=lambda call: StoreError("the disk is gone"))
    with pytest.raises(StoreError):
        watched.later(1)
    assert watched.later(1).keys == (A,)
