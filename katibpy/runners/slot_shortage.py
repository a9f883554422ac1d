"""Why a claim waits, in words: what it wants, what is free, and who has the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from katibpy.api.quantity import format_bytes, format_milli
from katibpy.runners.demand import WHOLE
from katibpy.runners.slot_claims import Claim, Ledger, free_cpu, grant, has_room

_NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Shortage:
    """What a claim waits for.

    Attributes:
        reason: one CamelCase word.
        message: the same for people.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """What a program knows beside the claims.

    Attributes:
        pid: its own.
        user: who it runs as.
        devices: uids of all that it may hand out.
        foreign: uids of those that processes of others compute on, with these.
    """

    pid: int
    user: str
    devices: Sequence[str]
    foreign: Mapping[str, Sequence[int]]


def shortage_of(claim: Claim, claims: Sequence[Claim], view: Viewpoint) -> Shortage:
    """Why a waiting claim is not granted, given all claims that somebody holds."""
    ledger = Ledger.of(claims)
    earlier = [other for other in claims if not other.is_granted and other.number < claim.number]
    for other in sorted(earlier, key=lambda each: each.number):
        grant(other, ledger)
    holders = [other for other in claims if other.is_granted]
    if claim.gpus or claim.share:
        short = _device_shortage(claim, ledger, view)
        if short:
            foreign = _foreign(view)
            with_devices = [each for each in holders if set(each.devices) & set(view.devices)]
            waiting = [each for each in earlier if each.gpus or each.share]
            parts = [short, _held_by(with_devices, view), foreign, _kept_for(waiting, view)]
            return Shortage("WaitsForGPU", "; ".join(part for part in parts if part))
    if claim.cpu > free_cpu(claim, ledger):
        held = Ledger.of(claims)
        total = claim.cpu_mask.bit_count()
        short = f"it needs {_cpus(claim.cpu)}: {format_milli(free_cpu(claim, held))} of {total} free"
        with_cpus = [each for each in holders if each.cpu and each.cpu_mask & claim.cpu_mask]
        parts = [short, _held_by(with_cpus, view), _kept_for([each for each in earlier if each.cpu], view)]
        return Shortage("WaitsForCPU", "; ".join(part for part in parts if part))
    if not has_room(claim, ledger):
        free = format_bytes(max(0, claim.memory_room - Ledger.of(claims).memory))
        total_memory = format_bytes(claim.memory_room)
        short = f"it needs {format_bytes(claim.memory)} of memory: {free} of {total_memory} free"
        with_memory = [each for each in holders if each.memory]
        parts = [
            short,
            _held_by(with_memory, view),
            _kept_for([each for each in earlier if each.memory], view),
        ]
        return Shortage("WaitsForMemory", "; ".join(part for part in parts if part))
    return Shortage("WaitsForSlots", "it is next")


def _device_shortage(claim: Claim, ledger: Ledger, view: Viewpoint) -> str:
    free = [uid for uid in claim.devices if not ledger.held.get(uid)]
    if claim.gpus:
        if sum(not ledger.taken(uid) for uid in free) >= claim.gpus:
            return ""
        noun = "GPU" if claim.gpus == 1 else "GPUs"
        return f"it needs {claim.gpus} {noun}: {len(free)} of {len(view.devices)} free"
    if any(ledger.taken(uid) + claim.share <= WHOLE for uid in claim.devices):
        return ""
    most = max((WHOLE - ledger.held.get(uid, 0) for uid in claim.devices), default=0)
    rest = "none has any room"
    if most > 0:
        rest = "one is free" if most == WHOLE else f"at most {format_milli(most)} of one is free"
    return f"it needs {format_milli(claim.share)} of a GPU: {rest}"


def _foreign(view: Viewpoint) -> str:
    if not view.foreign:
        return ""
    pids = sorted({pid for pids in view.foreign.values() for pid in pids})
    shown = ", ".join(map(str, pids[:_NAMES_SHOWN])) + (" ..." if len(pids) > _NAMES_SHOWN else "")
    whose = f"another process (pid {shown})" if len(pids) == 1 else f"other processes (pids {shown})"
    return f"{len(view.foreign)} by {whose}"


def _held_by(holders: Iterable[Claim], view: Viewpoint) -> str:
    names = _names(holders, view)
    return f"held by {names}" if names else ""


def _kept_for(earlier: Iterable[Claim], view: Viewpoint) -> str:
    names = _names(earlier, view)
    return f"{names} came earlier" if names else ""


def _names(claims: Iterable[Claim], view: Viewpoint) -> str:
    names = [_name(claim, view) for claim in claims]
    if not names:
        return ""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{'trial' if len(names) == 1 else 'trials'} {shown}{more}"


def _name(claim: Claim, view: Viewpoint) -> str:
    share = f"{format_milli(claim.share)} of one" if claim.share else ""
    user = f" of user {claim.user}" if claim.user != view.user else ""
    whose = f"katib with pid {claim.pid}{user}" if claim.pid != view.pid or user else ""
    notes = ", ".join(note for note in (share, whose) if note)
    return f"{claim.trial} ({notes})" if notes else claim.trial


def _cpus(amount: int) -> str:
    return f"{format_milli(amount)} cpu" if amount == WHOLE else f"{format_milli(amount)} cpus"
