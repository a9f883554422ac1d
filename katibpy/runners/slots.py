"""Hands out this host's GPUs, cpus and memory to trials, in agreement with all other programs that do so."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from katibpy.api.experiment import Experiment
from katibpy.errors import FieldError, RunnerError
from katibpy.runners.demand import Demand
from katibpy.runners.devices import (
    AUTO,
    NONE,
    ChosenDevices,
    Device,
    DeviceSource,
    FixedDevices,
    VisibleDevices,
    gpu_environment,
)
from katibpy.runners.host_room import HostRoom, host_room, thread_environment
from katibpy.runners.nvml import NvmlDevices
from katibpy.runners.slot_capacity import check_capacity, shortfalls
from katibpy.runners.slot_claims import Claim, allot
from katibpy.runners.slot_shortage import Shortage, Viewpoint, shortage_of
from katibpy.runners.slot_table import LockedTable, Place, SlotTable, TableBusy

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.25
_TOUCH_SECONDS = 1.0
_QUIET_SECONDS = 0.3
"""A wait shorter than this is not worth a word."""
_REWORD_SECONDS = 1.0


class Ticket:
    """One trial's claim, from the moment it is made until it is released.

    Attributes:
        claim: what it asks for, and holds once it is granted.
        place: where that is written; None when the table could not be had yet.
        sight: all claims and what else was known when it was last passed over.
        problem: why nobody could look, "" when somebody could.
    """

    def __init__(self, slots: Slots, claim: Claim) -> None:
        self.claim = claim
        self.place: Place | None = None
        self.sight: tuple[Sequence[Claim], Viewpoint] | None = None
        self.problem = ""
        self.touched_at = time.monotonic()
        self._slots = slots
        self._news = threading.Event()

    @property
    def is_granted(self) -> bool:
        """Whether it holds what it asks for."""
        return self.claim.is_granted

    @property
    def shortage(self) -> Shortage | None:
        """Why it is not granted; None when it is, or when nobody has looked yet."""
        if self.problem:
            return Shortage("WaitsForSlots", self.problem)
        return shortage_of(self.claim, *self.sight) if self.sight is not None else None

    @property
    def descriptor(self) -> int:
        """What the trial's processes have to inherit, so that they hold the claim as long as they live."""
        if self.place is None:
            raise RunnerError("a claim that is not granted can be given to no process")
        return self.place.descriptor

    def wait(self, *, is_over: Callable[[], bool], show: Callable[[Shortage], None]) -> bool:
        """Blocks until it is granted; False when it is not wanted any more.

        Args:
            is_over: whether to give up; asked now and then, and at once after `wake`.
            show: told why it has to wait, whenever that has changed, though not more than once a second.
        """
        pause = _FIRST_PAUSE_SECONDS
        shown: Shortage | None = None
        show_at = time.monotonic() + _QUIET_SECONDS
        while not self.is_granted:
            if is_over():
                return False
            now = time.monotonic()
            if now >= show_at and (shortage := self.shortage) != shown and shortage is not None:
                shown, show_at = shortage, now + _REWORD_SECONDS
                show(shortage)
            self._news.wait(pause)
            self._news.clear()
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            self._slots.look(max_age_seconds=pause)
        return True

    def wake(self) -> None:
        """Makes `wait` look around now."""
        self._news.set()

    def release(self, *, is_over: bool) -> None:
        """Lets it go, granted or not. Must be called once.

        Args:
            is_over: nothing of the trial is alive. Otherwise its processes go on holding it.
        """
        self._slots.release(self, is_over=is_over)


class Slots:
    """What this program may hand out, and its claims.

    `_lock` guards `_waiting` and `_looked_at`. It is taken before the lock of the table.

    Attributes:
        room: cpus and memory of this host.
    """

    def __init__(
        self,
        devices: DeviceSource | None = None,
        *,
        room: HostRoom | None = None,
        table: SlotTable | None = None,
    ) -> None:
        """Takes the devices it may hand out, none unless given; room and table of this host by default."""
        self.room = room or host_room()
        self._source = devices or FixedDevices()
        self._table = table or SlotTable()
        self._pid = os.getpid()
        self._user = _user()
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._looked_at = float("-inf")

    def devices(self) -> tuple[Device, ...]:
        """All devices that it may hand out."""
        return self._source.devices()

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """What the trial template asks for beyond what this host has; it must have no other problems."""
        return check_capacity(experiment, self.room, self._source)

    def claim(self, demand: Demand, *, trial: str) -> Ticket:
        """Queues up for what a trial needs; it may be granted at once.

        Raises:
            RunnerError: it asks for more than there is, or there can be no table.
        """
        for resource, message in shortfalls(demand, self.room, self._source):
            raise RunnerError(f"{resource} {message}")
        claim = Claim(
            number=0,
            trial=trial,
            pid=self._pid,
            user=self._user,
            gpus=demand.gpus,
            share=demand.gpu_share,
            cpu=demand.cpu,
            memory=demand.memory,
            cpu_mask=self.room.cpu_mask,
            memory_room=self.room.memory,
        )
        ticket = Ticket(self, claim)
        with self._lock:
            self._waiting.append(ticket)
            try:
                with self._table.locked() as table:
                    self._look(table)
            except TableBusy as error:
                ticket.problem = str(error)
            except (RunnerError, OSError) as error:
                self._let_go(ticket, is_over=True)
                message = f"no claim can be made in {self._table.directory}: {error}"
                raise RunnerError(message if isinstance(error, OSError) else str(error)) from error
        return ticket

    def look(self, *, max_age_seconds: float = 0.0) -> None:
        """Grants this program's claims what has become free.

        Args:
            max_age_seconds: nothing is done when somebody looked so short a time ago.
        """
        with self._lock:
            if not self._waiting or time.monotonic() - self._looked_at < max_age_seconds:
                return
            try:
                with self._table.locked() as table:
                    self._look(table)
            except (RunnerError, OSError) as error:
                # Whatever it is, it concerns all who wait, and may pass.
                self._looked_at = time.monotonic()
                for ticket in self._waiting:
                    ticket.problem = str(error)

    def release(self, ticket: Ticket, *, is_over: bool) -> None:
        """See `Ticket.release`."""
        with self._lock:
            # What was never granted was given to no process.
            self._let_go(ticket, is_over=is_over or not ticket.is_granted)
        self.look()

    def environment(self, demand: Demand, ticket: Ticket | None) -> dict[str, str]:
        """The variables that tell a trial what it has.

        Args:
            demand: what it asked for.
            ticket: granted; None when it needed none.
        """
        variables: dict[str, str] = {}
        if demand.cpu_limit is not None:
            variables |= thread_environment(demand.cpu_limit, self.room)
        if demand.wants_gpu or self.devices():
            held = ticket.claim.devices if ticket is not None else ()
            by_uid = {device.uid: device for device in self.devices()}
            variables |= gpu_environment([by_uid[uid] for uid in held], share=demand.gpu_share)
        return variables

    def _let_go(self, ticket: Ticket, *, is_over: bool) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if ticket.place is not None:
            ticket.place.close(is_over=is_over)

    def _look(self, table: LockedTable) -> None:
        now = time.monotonic()
        self._looked_at = now
        for ticket in self._waiting:
            if ticket.place is None:
                ticket.place, ticket.claim = table.add(ticket.claim)
            elif now - ticket.touched_at > _TOUCH_SECONDS:
                ticket.touched_at = now
                ticket.place.touch()
        view = self._view(table)
        free = tuple(uid for uid in view.devices if uid not in view.foreign)
        for ticket in self._waiting:
            if (ticket.claim.gpus or ticket.claim.share) and ticket.claim.devices != free:
                # Others have to know what a claim could use, to keep it for the claim.
                self._write(table, ticket, replace(ticket.claim, devices=free))
        granted = allot(table.claims())
        for ticket in tuple(self._waiting):
            claim = granted.get(ticket.claim.number)
            if claim is not None:
                self._write(table, ticket, claim)
                self._waiting.remove(ticket)
                ticket.wake()
        for ticket in self._waiting:
            ticket.problem, ticket.sight = "", (table.claims(), view)

    @staticmethod
    def _write(table: LockedTable, ticket: Ticket, claim: Claim) -> None:
        if ticket.place is not None:
            table.write(ticket.place, claim)
            ticket.claim = claim

    def _view(self, table: LockedTable) -> Viewpoint:
        """What is known beside the claims; a foreign process is one on a device that no claim holds."""
        if not any(ticket.claim.gpus or ticket.claim.share for ticket in self._waiting):
            return Viewpoint(self._pid, self._user, (), {})
        held = {uid for claim in table.claims() if claim.is_granted for uid in claim.devices}
        devices = self._source.devices()
        foreign = {
            device.uid: users
            for device in devices
            if device.uid not in held and (users := self._source.users(device))
        }
        return Viewpoint(self._pid, self._user, tuple(device.uid for device in devices), foreign)


def slots_for(gpus: str, environment: Mapping[str, str], *, table: SlotTable | None = None) -> Slots:
    """Slots with the devices that a user's words mean.

    Args:
        gpus: `auto`, `none`, or numbers or uids with commas.
        environment: of this program; may hide devices from `auto`.
        table: of this machine, unless given.

    Raises:
        InputError: the words mean no devices of this machine.
    """
    words = [word.strip() for word in gpus.split(",")]
    if words in ([AUTO], [""]):
        return Slots(VisibleDevices(NvmlDevices(), environment), table=table)
    if words == [NONE]:
        return Slots(FixedDevices(absence="to hand out (--gpus none)"), table=table)
    return Slots(ChosenDevices(NvmlDevices(), words), table=table)


def _user() -> str:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())
