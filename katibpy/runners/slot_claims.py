"""Who may have what of a host: decides over all claims of a machine, whatever program made them.

A claim waits until it is granted. Claims are looked at in the order in which they came, and one that cannot
be granted yet keeps what it could use next: nobody who came later gets that, so nobody starves. A claim for
whole devices keeps the ones that are free and, for the rest, those that are taken least; a claim for a share
keeps room on one device. Cpus and memory are kept only for claims whose devices are there, since they would
idle otherwise.

A claim is granted all that it asks for or nothing, so claims cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from katibpy.runners.demand import WHOLE


@dataclass(frozen=True, slots=True)
class Claim:
    """What one trial holds or waits for.

    Attributes:
        number: order of arrival on the machine.
        trial: name, for messages.
        pid: of the program that made it.
        user: who that program runs as.
        gpus: whole devices.
        share: thousandths of one device, instead of whole ones.
        cpu: thousandths of a cpu.
        memory: bytes.
        devices: uids of those that it holds, or of those that it could be given.
        is_granted: whether it holds what it asks for.
        cpu_mask: the cpus that its trials may run on, a bit each.
        memory_room: bytes that this host has in the eyes of its program.
    """

    number: int
    trial: str
    pid: int
    user: str
    gpus: int = 0
    share: int = 0
    cpu: int = 0
    memory: int = 0
    devices: tuple[str, ...] = ()
    is_granted: bool = False
    cpu_mask: int = 0
    memory_room: int = 0

    @property
    def device_share(self) -> int:
        """Thousandths that it takes of each of its devices."""
        return WHOLE if self.gpus else self.share

    def granted(self, devices: Sequence[str]) -> Claim:
        """The same claim, holding these devices and its cpus and memory."""
        return replace(self, devices=tuple(devices), is_granted=True)


@dataclass(slots=True)
class Ledger:
    """What is taken, by those who hold it and by those who came earlier and wait for it.

    Attributes:
        held: uid of a device to the thousandths that are held.
        kept: uid of a device to the thousandths that are kept for claims that wait.
        cpu: mask and thousandths of everything that is held or kept.
        memory: bytes that are held or kept.
    """

    held: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    cpu: list[tuple[int, int]] = field(default_factory=list)
    memory: int = 0

    @classmethod
    def of(cls, claims: Iterable[Claim]) -> Ledger:
        """The ledger of those that are granted."""
        ledger = cls()
        for claim in claims:
            if claim.is_granted:
                ledger.hold(claim)
        return ledger

    def hold(self, claim: Claim) -> None:
        """Writes down a granted claim."""
        for uid in claim.devices:
            self.held[uid] = self.held.get(uid, 0) + claim.device_share
        self.keep_rest(claim)

    def keep_rest(self, claim: Claim) -> None:
        """Writes down the cpus and the memory of a claim."""
        if claim.cpu:
            self.cpu.append((claim.cpu_mask, claim.cpu))
        self.memory += claim.memory

    def keep(self, uids: Iterable[str], share: int) -> None:
        """Writes down devices of a claim that waits."""
        for uid in uids:
            self.kept[uid] = self.kept.get(uid, 0) + share

    def taken(self, uid: str) -> int:
        """Thousandths of a device that a newcomer cannot have."""
        return self.held.get(uid, 0) + self.kept.get(uid, 0)

    def cpu_taken(self, mask: int) -> int:
        """Thousandths of the cpus in a mask that a newcomer cannot have."""
        return sum(amount for other, amount in self.cpu if other & mask)


def allot(claims: Sequence[Claim]) -> Mapping[int, Claim]:
    """The waiting claims that can be granted now, by number, as they will be then."""
    ledger = Ledger.of(claims)
    found: dict[int, Claim] = {}
    for claim in sorted(claims, key=lambda each: each.number):
        if claim.is_granted:
            continue
        granted = grant(claim, ledger)
        if granted is not None:
            found[claim.number] = granted
    return found


def grant(claim: Claim, ledger: Ledger) -> Claim | None:
    """The claim with what it is to get, or None; writes down what it then holds or keeps."""
    devices = _devices_for(claim, ledger)
    if devices is None:
        return None
    if has_room(claim, ledger):
        granted = claim.granted(devices)
        ledger.hold(granted)
        return granted
    if is_possible(claim):
        ledger.keep(devices, claim.device_share)
        ledger.keep_rest(claim)
    return None


def has_room(claim: Claim, ledger: Ledger) -> bool:
    """Whether there are cpus and memory for it."""
    # What is kept for others may be more than there is, and does not concern a claim that asks for none.
    has_cpu = not claim.cpu or claim.cpu <= free_cpu(claim, ledger)
    return has_cpu and (not claim.memory or claim.memory <= claim.memory_room - ledger.memory)


def free_cpu(claim: Claim, ledger: Ledger) -> int:
    """Thousandths of the cpus that a claim may use which are neither held nor kept."""
    return max(0, claim.cpu_mask.bit_count() * WHOLE - ledger.cpu_taken(claim.cpu_mask))


def is_possible(claim: Claim) -> bool:
    """Whether cpus and memory would do for it if it were alone here."""
    return claim.cpu <= claim.cpu_mask.bit_count() * WHOLE and claim.memory <= claim.memory_room


def _devices_for(claim: Claim, ledger: Ledger) -> tuple[str, ...] | None:
    """Devices that the claim can have now; None when it has to wait for them, and then some are kept."""
    if claim.gpus:
        free = [uid for uid in claim.devices if not ledger.taken(uid)]
        if len(free) >= claim.gpus:
            return tuple(free[: claim.gpus])
        # Keeping some would be of no use when all that it may have are too few.
        if len(claim.devices) >= claim.gpus:
            unkept = [uid for uid in claim.devices if not ledger.kept.get(uid)]
            # Least taken first, then in the driver's order, so that the choice settles.
            unkept.sort(key=ledger.taken)
            ledger.keep(unkept[: claim.gpus], WHOLE)
        return None
    if claim.share:
        fitting = [uid for uid in claim.devices if ledger.taken(uid) + claim.share <= WHOLE]
        if fitting:
            # The fullest that will do leaves whole ones whole.
            return (max(fitting, key=ledger.taken),)
        if claim.devices:
            ledger.keep([min(claim.devices, key=ledger.taken)], claim.share)
        return None
    return ()
