"""Slots of several programs over one table: agreement, waiting, and the words for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from katibpy.errors import RunnerError
from katibpy.runners.demand import Demand
from katibpy.runners.devices import Device, FixedDevices
from katibpy.runners.host_room import THREAD_VARIABLES, HostRoom, host_room
from katibpy.runners.slot_shortage import Shortage
from katibpy.runners.slot_table import SlotTable
from katibpy.runners.slots import Slots, Ticket

GI = 2**30
DEVICES = tuple(Device(f"GPU-{number}", str(number)) for number in range(4))
ROOM = HostRoom(cpu_mask=0b1111, memory=8 * GI)


class UsedDevices(FixedDevices):
    """Devices on which foreign processes compute."""

    def __init__(self) -> None:
        super().__init__(DEVICES)
        self.foreign: dict[str, tuple[int, ...]] = {}

    def users(self, device: Device) -> tuple[int, ...]:
        return self.foreign.get(device.index, ())


class Bench:
    def __init__(self, directory: Path) -> None:
        self.table = SlotTable(directory)
        self.open: list[Ticket] = []

    def slots(self, count: int = 4) -> Slots:
        return Slots(FixedDevices(DEVICES[:count]), room=ROOM, table=self.table)

    def claim(self, slots: Slots, trial: str, **wants: int) -> Ticket:
        ticket = slots.claim(Demand(**wants), trial=trial)
        self.open.append(ticket)
        return ticket

    def release(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            self.open.remove(ticket)
            ticket.release(is_over=True)

    def waiting(self, slots: Slots, trial: str, **wants: int) -> Shortage:
        ticket = self.claim(slots, trial, **wants)
        assert not ticket.is_granted
        assert ticket.shortage is not None
        return ticket.shortage


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "slots")
    yield made
    made.release(*made.open)
    assert list(made.table.directory.iterdir()) == [] if made.table.directory.exists() else True


def in_thread(wait: Callable[[], bool]) -> tuple[threading.Thread, list[bool]]:
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(wait()))
    thread.start()
    return thread, result


def test_two_programs_never_get_the_same_device(bench: Bench) -> None:
    first, second = bench.slots(), bench.slots()
    held = bench.claim(first, "a", gpus=3)
    assert held.claim.devices == ("GPU-0", "GPU-1", "GPU-2")
    assert not bench.claim(second, "b", gpus=2).is_granted
    assert not bench.claim(second, "c", gpus=1).is_granted, "what b could use next is kept for b"


def test_two_programs_share_a_device(bench: Bench) -> None:
    first, second = bench.slots(1), bench.slots(1)
    halves = [bench.claim(slots, "half", gpu_share=500) for slots in (first, second)]
    assert [half.claim.devices for half in halves] == [("GPU-0",), ("GPU-0",)]
    assert not bench.claim(first, "third", gpu_share=1).is_granted


def test_a_release_lets_others_of_the_same_program_go_on_at_once(bench: Bench) -> None:
    slots = bench.slots(1)
    held, waiting = bench.claim(slots, "a", gpus=1), bench.claim(slots, "b", gpus=1)
    bench.release(held)
    assert waiting.is_granted


def test_a_release_is_noticed_by_other_programs(bench: Bench) -> None:
    first, second = bench.slots(1), bench.slots(1)
    held, waiting = bench.claim(first, "a", gpus=1), bench.claim(second, "b", gpus=1)
    thread, result = in_thread(lambda: waiting.wait(is_over=lambda: False, show=lambda why: None))
    bench.release(held)
    thread.join(5)
    assert result == [True]
    assert waiting.claim.devices == ("GPU-0",)


def test_waiting_ends_when_it_is_not_wanted_any_more(bench: Bench) -> None:
    slots = bench.slots(1)
    bench.claim(slots, "a", gpus=1)
    waiting = bench.claim(slots, "b", gpus=1)
    over = threading.Event()
    thread, result = in_thread(lambda: waiting.wait(is_over=over.is_set, show=lambda why: None))
    over.set()
    waiting.wake()
    thread.join(5)
    assert result == [False]


def test_a_claim_that_is_given_up_makes_room_in_the_queue(bench: Bench) -> None:
    slots = bench.slots(2)
    bench.claim(slots, "a", gpus=1)
    both, one = bench.claim(slots, "both", gpus=2), bench.claim(slots, "one", gpus=1)
    assert not one.is_granted
    bench.release(both)
    assert one.is_granted


def test_why_it_waits_is_shown_when_that_changes(bench: Bench) -> None:
    slots = bench.slots(2)
    held = [bench.claim(slots, name, gpus=1) for name in "ab"]
    waiting = bench.claim(slots, "c", gpus=2)
    said: list[str] = []
    thread, _ = in_thread(
        lambda: waiting.wait(is_over=lambda: False, show=lambda why: said.append(why.message))
    )
    for sentences in (1, 2):
        deadline = time.monotonic() + 5
        while len(said) < sentences and time.monotonic() < deadline:
            time.sleep(0.01)
        bench.release(held.pop())
    thread.join(5)
    assert said == [
        "it needs 2 GPUs: 0 of 2 free; held by trials a, b",
        "it needs 2 GPUs: 1 of 2 free; held by trial a",
    ]


def test_a_device_that_others_compute_on_is_not_handed_out(bench: Bench) -> None:
    used = UsedDevices()
    used.foreign = {"0": (123,), "2": (7, 123)}
    slots = Slots(used, room=ROOM, table=bench.table)
    held = bench.claim(slots, "a", gpus=1)
    assert held.claim.devices == ("GPU-1",)
    waiting = bench.claim(slots, "b", gpus=2)
    assert waiting.shortage == Shortage(
        "WaitsForGPU",
        "it needs 2 GPUs: 1 of 4 free; held by trial a; 2 by other processes (pids 7, 123)",
    )
    used.foreign = {"2": (7,)}
    slots.look()
    assert waiting.is_granted
    # Processes on a device that trials have are those of the trials.
    used.foreign = {"1": (99,), "2": (7,)}
    bench.release(waiting)
    assert "1 by another process (pid 7)" in bench.waiting(slots, "c", gpus=4).message


def test_the_message_says_who_holds_what_and_who_came_earlier(bench: Bench) -> None:
    slots = bench.slots(1)
    bench.claim(slots, "tune-a", gpu_share=500)
    bench.claim(slots, "tune-b", gpu_share=250)
    assert bench.waiting(slots, "tune-c", gpus=1).message == (
        "it needs 1 GPU: 0 of 1 free; held by trials tune-a (0.5 of one), tune-b (0.25 of one)"
    )
    assert bench.waiting(slots, "tune-d", gpu_share=200).message == (
        "it needs 0.2 of a GPU: at most 0.25 of one is free; held by trials tune-a (0.5 of one), "
        "tune-b (0.25 of one); trial tune-c came earlier"
    )


def test_the_message_names_few_of_many(bench: Bench) -> None:
    slots = bench.slots(1)
    for number in range(10):
        bench.claim(slots, f"t{number}", gpu_share=100)
    assert bench.waiting(slots, "last", gpu_share=100).message == (
        "it needs 0.1 of a GPU: none has any room; held by trials t0 (0.1 of one), t1 (0.1 of one), "
        "t2 (0.1 of one), t3 (0.1 of one) and 6 more"
    )


def test_cpus_and_memory_are_waited_for_by_name(bench: Bench) -> None:
    slots = bench.slots()
    bench.claim(slots, "a", cpu=2500, memory=6 * GI)
    assert bench.waiting(slots, "b", cpu=2000) == Shortage(
        "WaitsForCPU", "it needs 2 cpus: 1.5 of 4 free; held by trial a"
    )
    assert bench.waiting(slots, "c", memory=3 * GI) == Shortage(
        "WaitsForMemory", "it needs 3Gi of memory: 2Gi of 8Gi free; held by trial a"
    )
    assert bench.claim(slots, "d", gpus=1).is_granted


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        ({"gpus": 5}, r"nvidia.com/gpu cannot be honoured: must be at most 4, all GPUs there are, got 5"),
        ({"cpu": 4500}, r"cpu cannot be honoured: must be at most 4, the cpus of this host, got 4.5"),
        (
            {"memory": 9 * GI},
            r"memory cannot be honoured: must be at most 8Gi, the memory of this host, got 9Gi",
        ),
    ],
)
def test_what_this_host_can_never_give_is_refused(bench: Bench, wants: dict[str, int], said: str) -> None:
    with pytest.raises(RunnerError, match=said):
        bench.slots().claim(Demand(**wants), trial="greedy")


def test_without_devices_a_share_is_refused_too(bench: Bench) -> None:
    slots = Slots(FixedDevices(absence="that is not broken"), room=ROOM, table=bench.table)
    with pytest.raises(
        RunnerError, match=r"gpu-fraction cannot be honoured: there is no GPU that is not broken, got 0.5"
    ):
        slots.claim(Demand(gpu_share=500), trial="t")


def test_a_table_that_cannot_be_used_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("")
    slots = Slots(FixedDevices(DEVICES), room=ROOM, table=SlotTable(tmp_path / "slots"))
    with pytest.raises(RunnerError, match=r"noted in .*/slots.*set KATIB_SLOT_DIR"):
        slots.claim(Demand(gpus=1), trial="t")


def test_a_table_that_breaks_later_is_what_all_wait_for(bench: Bench) -> None:
    slots = bench.slots(1)
    bench.claim(slots, "a", gpus=1)
    waiting = bench.claim(slots, "b", gpus=1)
    away = bench.table.directory.rename(bench.table.directory.with_name("away"))
    bench.table.directory.write_text("")
    slots.look()
    assert waiting.shortage is not None
    assert "noted in" in waiting.shortage.message
    bench.table.directory.unlink()
    away.rename(bench.table.directory)
    slots.look()
    assert waiting.shortage.message == "it needs 1 GPU: 0 of 1 free; held by trial a"


def test_a_table_that_is_locked_for_long_is_waited_for(tmp_path: Path) -> None:
    table = SlotTable(tmp_path / "slots", patience_seconds=0.05)
    slots = Slots(FixedDevices(DEVICES), room=ROOM, table=table)
    with SlotTable(table.directory).locked():
        ticket = slots.claim(Demand(gpus=1), trial="t")
        assert not ticket.is_granted
        assert ticket.shortage is not None
        assert "another program keeps" in ticket.shortage.message
        thread, result = in_thread(lambda: ticket.wait(is_over=lambda: False, show=lambda why: None))
    thread.join(5)
    assert result == [True]
    ticket.release(is_over=True)


def test_a_claim_that_never_came_into_the_table_can_be_given_up(tmp_path: Path) -> None:
    table = SlotTable(tmp_path / "slots", patience_seconds=0.01)
    slots = Slots(FixedDevices(DEVICES), room=ROOM, table=table)
    with SlotTable(table.directory).locked():
        slots.claim(Demand(gpus=1), trial="t").release(is_over=False)
    assert list(table.directory.iterdir()) == []


def test_a_trial_is_told_its_devices_and_threads(bench: Bench) -> None:
    slots = bench.slots()
    ticket = bench.claim(slots, "a", gpus=2)
    variables = slots.environment(Demand(gpus=2, cpu=1500, cpu_limit=1500), ticket)
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"
    assert {variables[name] for name in THREAD_VARIABLES} == {"2"}


def test_who_asks_for_no_gpu_sees_none_where_they_are_handed_out(bench: Bench) -> None:
    assert bench.slots().environment(Demand(), None)["CUDA_VISIBLE_DEVICES"] == ""
    assert Slots(room=ROOM, table=bench.table).environment(Demand(), None) == {}


@pytest.mark.parametrize(("limit", "threads"), [(1, "1"), (500, "1"), (1001, "2"), (4000, "4"), (64000, "4")])
def test_threads_fit_the_cpu_limit_and_the_host(bench: Bench, limit: int, threads: str) -> None:
    variables = Slots(room=ROOM, table=bench.table).environment(Demand(cpu=1, cpu_limit=limit), None)
    assert variables == dict.fromkeys(THREAD_VARIABLES, threads)


def test_this_host_has_cpus_and_memory() -> None:
    room = host_room()
    assert room.cpus >= 1
    assert room.memory > 2**26
