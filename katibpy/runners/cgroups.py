"""Memory limits that the kernel keeps: control groups, version 2, where a part of their tree is ours.

Nothing is moved out of the group it is in but the trials, and no group gets other controllers than it has. So
this needs a group above this program that belongs to its user (or that systemd marked as delegated) and hands
memory on to its children; `systemd-run --user --scope katib run ...` starts a program below such a group.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from katibpy.runners.attempt import SHELL

logger = logging.getLogger(__name__)

_PREFIX = "katibpy-"
# Enters the group, which all children then are in too, and becomes the program.
_ENTER = 'echo $$ >"$1/cgroup.procs" || exit 126; shift; exec "$@"'
_REMOVAL_TRIES = 20
_REMOVAL_PAUSE_SECONDS = 0.01
_PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """The group of one attempt.

    Attributes:
        path: its directory.
    """

    path: Path

    def entering(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command that runs this command in the group."""
        return (SHELL, "-c", _ENTER, "katib-memory", str(self.path), *argv)

    def kills(self) -> int:
        """How many processes the kernel killed because the group used too much."""
        for line in _lines(self.path / "memory.events"):
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdigit():
                return int(count)
        return 0

    def peak(self) -> int | None:
        """The most bytes it ever used, None when the kernel does not say."""
        lines = _lines(self.path / "memory.peak")
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def remove(self) -> None:
        """Ends what is left in it, and takes it away."""
        kill = self.path / "cgroup.kill"
        with contextlib.suppress(OSError):
            if kill.exists():
                kill.write_text("1", encoding="ascii")
        for _ in range(_REMOVAL_TRIES):
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                # What was killed a moment ago still counts.
                time.sleep(_REMOVAL_PAUSE_SECONDS)
            else:
                return
        logger.warning("the control group %s cannot be removed", self.path)


class MemoryGroups:
    """Makes groups below one that is ours."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    def make(self, name: str, *, limit: int) -> MemoryGroup:
        """A fresh group, or the one of that name.

        Args:
            name: unique on this host.
            limit: bytes; without swap, as in Kubernetes.

        Raises:
            OSError: it cannot be made.
        """
        group = MemoryGroup(self._parent / f"{_PREFIX}{name}")
        group.path.mkdir(exist_ok=True)
        (group.path / "memory.max").write_text(str(limit), encoding="ascii")
        for setting, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(OSError):
                (group.path / setting).write_text(value, encoding="ascii")
        return group

    def works(self) -> bool:
        """Whether a group can be made and entered here."""
        try:
            group = self.make(f"probe-{os.getpid()}", limit=1 << 30)
        except OSError as error:
            logger.debug("no control group can be made in %s: %s", self._parent, error)
            return False
        try:
            command = group.entering([SHELL, "-c", ":"])
            found = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        finally:
            group.remove()
        return found.returncode == 0


def delegated_parent(own: Path, top: Path) -> Path | None:
    """The nearest group, from our own upwards, that new ones with a memory limit may be made in.

    Args:
        own: the group that this program is in.
        top: the highest one that this program sees.
    """
    for group in (own, *own.parents):
        if "memory" in " ".join(_lines(group / "cgroup.subtree_control")).split() and _is_ours(group, top):
            return group
        if group == top:
            return None
    return None


def own_group() -> tuple[Path, Path] | None:
    """The group that this program is in and the highest that it sees; None without version 2."""
    top = None
    for line in _lines(Path("/proc/self/mountinfo")):
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            top = Path(fields.split(" ")[4])
    paths = [line[3:] for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::/")]
    if top is None or not paths or paths[0].startswith("/.."):
        return None
    return top / paths[0].lstrip("/"), top


def memory_groups() -> MemoryGroups | None:
    """Groups below the nearest one that is ours; None when this host has no such thing."""
    found = own_group()
    parent = delegated_parent(*found) if found is not None else None
    if parent is None:
        return None
    groups = MemoryGroups(parent)
    return groups if groups.works() else None


def _is_ours(group: Path, top: Path) -> bool:
    if not (os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK)):
        return False
    uid = os.geteuid()
    if uid != 0:
        return group.stat().st_uid == uid
    # Root may write everywhere, which does not make every group its own; the top of a container is.
    is_container_top = group == top and (group / "cgroup.type").exists()
    return is_container_top or any(
        _attribute(group, name) == b"1" for name in ("user.delegate", "trusted.delegate")
    )


def _attribute(path: Path, name: str) -> bytes | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
