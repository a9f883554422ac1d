"""Who gets what: nothing twice, all or nothing, first come first served, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.runners.demand import WHOLE
from katibpy.runners.slot_claims import Claim, allot

DEVICES = ("d0", "d1", "d2", "d3")
FOUR_CPUS = 0b1111


def waiting(number: int, *, devices: tuple[str, ...] = DEVICES, **wants: Any) -> Claim:
    wants = {"cpu_mask": FOUR_CPUS, "memory_room": 1000, **wants}
    return Claim(number=number, trial=f"t{number}", pid=1, user="u", devices=devices, **wants)


def holding(number: int, *devices: str, **wants: Any) -> Claim:
    return replace(waiting(number, **wants), devices=devices, is_granted=True)


def granted(*claims: Claim) -> dict[int, tuple[str, ...]]:
    return {number: claim.devices for number, claim in allot(claims).items()}


def test_whole_devices_are_given_in_the_drivers_order() -> None:
    assert granted(holding(1, "d1", gpus=1), waiting(2, gpus=2)) == {2: ("d0", "d2")}


def test_a_claim_gets_all_it_asks_for_or_nothing() -> None:
    assert granted(holding(1, "d0", "d1", gpus=2), waiting(2, gpus=3)) == {}


def test_a_claim_that_asks_for_nothing_scarce_is_granted_at_once() -> None:
    everything = holding(1, *DEVICES, gpus=4, cpu=4000, memory=1000)
    assert granted(everything, waiting(2)) == {2: ()}


def test_shares_fill_a_device_before_they_open_another() -> None:
    claims = [waiting(number, share=400) for number in (1, 2, 3)]
    assert granted(*claims) == {1: ("d0",), 2: ("d0",), 3: ("d1",)}
    assert granted(holding(1, "d2", share=600), waiting(2, share=400)) == {2: ("d2",)}


def test_shares_of_one_device_add_up_to_one_at_most() -> None:
    full = [holding(number, device, share=700) for number, device in enumerate(DEVICES)]
    assert granted(*full, waiting(9, share=301)) == {}
    assert granted(*full, waiting(9, share=300)) == {9: ("d0",)}


def test_a_share_never_goes_to_a_whole_devices_holder() -> None:
    assert granted(holding(1, "d0", gpus=1), waiting(2, share=1, devices=("d0",))) == {}


def test_shares_do_not_starve_a_whole_device() -> None:
    # One device, half of it taken: whoever wants all of it comes first, although a half would fit now.
    half, whole = holding(1, "d0", share=500), waiting(2, gpus=1, devices=("d0",))
    late_half = waiting(3, share=500, devices=("d0",))
    assert granted(half, whole, late_half) == {}
    assert granted(whole, late_half) == {2: ("d0",)}


def test_whole_devices_do_not_starve_a_share() -> None:
    shares = [holding(1, "d0", share=600), holding(2, "d1", share=500)]
    share, whole = waiting(3, share=700, devices=("d0", "d1")), waiting(4, gpus=1, devices=("d0", "d1"))
    assert granted(*shares, share, whole) == {}
    assert granted(shares[0], share, whole) == {3: ("d1",)}


def test_free_devices_are_kept_for_a_claim_that_needs_more_of_them() -> None:
    taken = holding(1, "d0", "d1", "d2", gpus=3)
    assert granted(taken, waiting(2, gpus=2), waiting(3, gpus=1)) == {}


def test_room_that_no_earlier_claim_will_need_goes_to_later_ones() -> None:
    busy = [holding(1, "d0", gpus=1), holding(2, "d1", share=500), holding(3, "d2", share=600)]
    # Kept for the two whole ones are d3, which is free, and d1, of which least is taken.
    assert granted(*busy, waiting(4, gpus=2), waiting(5, share=400)) == {5: ("d2",)}
    assert granted(*busy, waiting(4, gpus=2), waiting(5, share=500)) == {}


def test_nothing_is_kept_for_a_claim_that_its_devices_cannot_satisfy() -> None:
    # d0 is used by others, so that only three are in question now.
    four = waiting(1, gpus=4, devices=("d1", "d2", "d3"))
    assert granted(four, waiting(2, gpus=3, devices=("d1", "d2", "d3"))) == {2: ("d1", "d2", "d3")}


def test_cpus_are_never_given_twice() -> None:
    assert granted(holding(1, cpu=2500), waiting(2, cpu=2000)) == {}
    assert granted(holding(1, cpu=2500), waiting(2, cpu=1500)) == {2: ()}


def test_later_claims_leave_cpus_to_earlier_ones() -> None:
    assert granted(holding(1, cpu=2000), waiting(2, cpu=3000), waiting(3, cpu=1000)) == {}


def test_who_asks_for_no_cpu_does_not_wait_for_any() -> None:
    claims = holding(1, cpu=4000), waiting(2, cpu=4000), waiting(3, gpus=1), waiting(4, memory=1)
    assert granted(*claims) == {3: ("d0",), 4: ()}


def test_programs_on_different_cpus_do_not_compete() -> None:
    assert granted(holding(1, cpu=2000, cpu_mask=0b0011), waiting(2, cpu=2000, cpu_mask=0b1100)) == {2: ()}
    assert granted(holding(1, cpu=2000, cpu_mask=0b0111), waiting(2, cpu=2000, cpu_mask=0b1100)) == {}


def test_cpus_are_not_kept_for_a_claim_that_still_waits_for_devices() -> None:
    taken = holding(1, *DEVICES, gpus=4)
    assert granted(taken, waiting(2, gpus=1, cpu=4000), waiting(3, cpu=4000)) == {3: ()}


def test_devices_are_kept_for_a_claim_that_waits_for_cpus() -> None:
    busy = holding(1, cpu=4000)
    assert granted(busy, waiting(2, gpus=4, cpu=1000), waiting(3, gpus=1)) == {}


def test_memory_is_never_given_twice() -> None:
    assert granted(holding(1, memory=600), waiting(2, memory=500)) == {}
    assert granted(holding(1, memory=600), waiting(2, memory=400)) == {2: ()}


@pytest.mark.parametrize("wants", [{"cpu": 5000}, {"memory": 1001}, {"gpus": 1, "cpu": 5000}])
def test_a_claim_beyond_the_host_keeps_nobody_waiting(wants: dict[str, Any]) -> None:
    others = waiting(2, gpus=4, cpu=4000, memory=1000)
    assert granted(waiting(1, **wants), others) == {2: DEVICES}


@dataclass
class Machine:
    """Claims come, run for a while and go; time passes in ticks."""

    random: Random
    longest: int
    claims: dict[int, Claim] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    ahead: dict[int, int] = field(default_factory=dict)
    came: dict[int, int] = field(default_factory=dict)
    waits: dict[int, int] = field(default_factory=dict)
    now: int = 0

    def come(self) -> None:
        number = len(self.came) + 1
        wants: dict[str, Any] = self.random.choice(
            [{"gpus": self.random.randint(1, 4)}, {"share": self.random.choice([100, 250, 500, 700])}, {}]
        )
        cpu = self.random.choice([0, 500, 2000, 4000])
        self.ahead[number] = sum(not claim.is_granted for claim in self.claims.values())
        self.claims[number] = waiting(number, cpu=cpu, **wants)
        self.came[number] = self.now

    def tick(self) -> None:
        self.now += 1
        for number, end in tuple(self.ends.items()):
            if end <= self.now:
                del self.claims[number], self.ends[number]
        for number, claim in allot(tuple(self.claims.values())).items():
            self.claims[number] = claim
            self.ends[number] = self.now + self.random.randint(1, self.longest)
            self.waits[number] = self.now - self.came[number]
        self.check()

    def check(self) -> None:
        held = [claim for claim in self.claims.values() if claim.is_granted]
        for device in DEVICES:
            assert sum(claim.device_share for claim in held if device in claim.devices) <= WHOLE
        assert sum(claim.cpu for claim in held) <= 4000
        assert all(len(claim.devices) == (claim.gpus or bool(claim.share)) for claim in held)


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_nothing_is_given_twice_and_nobody_starves(seed: int, crowd: int) -> None:
    machine = Machine(Random(seed), longest=5)
    for _ in range(60):
        for _ in range(machine.random.randint(0, crowd)):
            machine.come()
        machine.tick()
    # Others go on coming, so that only fairness ends the waiting of those who are here.
    here, deadline = set(machine.came), 60 + 8 * machine.longest * len(machine.claims)
    while not here <= set(machine.waits):
        machine.come()
        machine.tick()
        assert machine.now < deadline, {n: machine.claims[n] for n in here - set(machine.waits)}
    for number, waited in machine.waits.items():
        assert waited <= 4 * machine.longest * (machine.ahead[number] + 1)
