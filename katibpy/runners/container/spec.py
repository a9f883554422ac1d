"""A container to run, told without the words of any engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of this host that a container sees.

    Attributes:
        source: where it is on this host.
        target: where the container sees it.
        is_read_only: whether the container may not write there.
    """

    source: Path
    target: str
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Scratch:
    """A directory in memory.

    Attributes:
        target: where the container sees it.
        size: bytes that it may hold, None for the engine's limit.
    """

    target: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container.

    Attributes:
        name: of the container; no other on this host has it.
        image: as the engine is to look for it.
        command: in place of the image's entrypoint; () leaves that as it is.
        args: in place of the image's arguments; () leaves those as they are, unless there is a command.
        environment: all that is declared; the image's own variables stay beside it.
        working_directory: "" for the image's own.
        mounts: what it sees of this host.
        scratch: what it has in memory.
        user: `uid`, `uid:gid` or `:gid`; "" for the image's own.
        devices: GPUs that it gets, by UUID or number; none unless given.
        cpu_limit: thousandths of a cpu.
        memory_limit: bytes.
        pull: `missing`, `always` or `never`.
        has_host_network: whether it shares this host's network.
        has_host_ipc: whether it shares this host's memory segments.
        has_host_processes: whether it sees this host's processes.
        is_read_only: whether its own files cannot be written.
        may_gain_privileges: whether a program may get more rights than its parent.
        added_capabilities: names.
        dropped_capabilities: names.
        hostname: "" for one of the engine's.
        hosts: addresses by further names.
        published: ports of its own by ports of this host, where only this host reaches them.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = ""
    mounts: tuple[Mount, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    user: str = ""
    devices: tuple[str, ...] = ()
    cpu_limit: int | None = None
    memory_limit: int | None = None
    pull: str = "missing"
    has_host_network: bool = False
    has_host_ipc: bool = False
    has_host_processes: bool = False
    is_read_only: bool = False
    may_gain_privileges: bool = True
    added_capabilities: tuple[str, ...] = ()
    dropped_capabilities: tuple[str, ...] = ()
    hostname: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[int, int] = field(default_factory=dict)
