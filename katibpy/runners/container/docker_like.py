"""Podman and Docker, whose command lines are nearly the same."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from katibpy.errors import RunnerError
from katibpy.runners.container.engine import PROBE_TIMEOUT_SECONDS, Call, ask, last_line
from katibpy.runners.container.spec import ContainerSpec, Mount

TRIAL_LABEL = "org.katibpy.container"
"""Label that all containers of this program have."""

_TIMEOUT_SECONDS = 60.0
# Variables that mean something to the engine itself are told on its command line and not through its own
# environment, where all others go, since anybody on this host can read a command line.
_ENGINES_NAMES = frozenset(
    ["HOME", "IFS", "LANG", "LOGNAME", "NO_COLOR", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"]
)
_ENGINES_PREFIXES = (
    *("_", "BASH", "BUILDAH_", "CONTAINER", "DBUS_", "DOCKER_", "GO", "LC_", "LD_", "LISTEN_", "NOTIFY_"),
    *("PODMAN_", "REGISTRY_", "SSH_", "SSL_", "STORAGE_", "XDG_"),
)
_CDI_DIRECTORIES = (Path("/etc/cdi"), Path("/var/run/cdi"), Path("/run/cdi"))
_SELINUX = Path("/sys/fs/selinux/enforce")


@dataclass(frozen=True, slots=True)
class DockerLike:
    """Implements `Engine`.

    Attributes:
        program: absolute path.
        is_podman: Podman, not Docker.
        options: further words for its `run`.
    """

    program: str
    is_podman: bool
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return "podman" if self.is_podman else "docker"

    def probe(self) -> str:
        """Why it cannot run containers now: no daemon, no storage."""
        template = "{{.Version.Version}}" if self.is_podman else "{{.ServerVersion}}"
        argv = (self.program, "info", "--format", template)
        code, output, error = ask(argv, timeout_seconds=PROBE_TIMEOUT_SECONDS)
        if code == 0 and output.strip() and not error.startswith("ERROR"):
            return ""
        return last_line(error) or f"{self.name} info ended with exit code {code}"

    def run(self, spec: ContainerSpec) -> Call:
        """`run` in the foreground."""
        handed = {name: text for name, text in spec.environment.items() if not _is_engines_own(name)}
        words = [self.program, "run", "--name", spec.name, "--label", f"{TRIAL_LABEL}={spec.name}"]
        # The output is kept once, by whoever runs this.
        words += ["--log-driver", "none", "--pull", spec.pull]
        if self.is_podman:
            # Whoever is removed has had its time; Docker gives none by itself.
            words += ["--quiet", "--stop-timeout", "0"]
        for name, text in spec.environment.items():
            words += ["--env", name if name in handed else f"{name}={text}"]
        words += self._surroundings(spec)
        words += self._limits(spec)
        words += self.options
        if spec.command:
            words += ["--entrypoint", spec.command[0]]
        words += [spec.image, *spec.command[1:], *spec.args]
        return Call(tuple(words), handed)

    def remove(self, name: str) -> bool:
        """Asks how it ended, and removes it.

        Raises:
            RunnerError: the engine says so, or nothing.
        """
        argv = (self.program, "container", "inspect", "--format", "{{json .State}}", name)
        code, output, _ = ask(argv, timeout_seconds=_TIMEOUT_SECONDS)
        was_excessive = code == 0 and _was_out_of_memory(output)
        code, _, error = ask(self.removal(name), timeout_seconds=_TIMEOUT_SECONDS)
        is_gone = code == 0 or "no such container" in error.lower() or "no container with" in error.lower()
        if not is_gone:
            raise RunnerError(f"container {name} cannot be removed: {last_line(error)}")
        return was_excessive

    def removal(self, name: str) -> tuple[str, ...]:
        """The command that ends a container and removes it."""
        return (self.program, "rm", "--force", "--volumes", name)

    def refusals(self, spec: ContainerSpec) -> Sequence[str]:
        """A group without a user cannot be told."""
        if spec.user.startswith(":"):
            return ("runAsGroup needs runAsUser beside it",)
        return ()

    def _surroundings(self, spec: ContainerSpec) -> Iterator[str]:
        if spec.working_directory:
            yield from ("--workdir", spec.working_directory)
        for mount in spec.mounts:
            yield from ("--mount", _mount_words(mount))
        for scratch in spec.scratch:
            size = "" if scratch.size is None else f",size={scratch.size}"
            yield from ("--tmpfs", f"{scratch.target}:rw,nosuid,nodev,mode=1777{size}")
        if spec.user:
            yield from ("--user", spec.user)
            if self.is_podman and os.geteuid() != 0:
                # Else the user would be another one to this host, and could not write to what is mounted.
                uid, _, gid = spec.user.partition(":")
                yield from ("--userns", f"keep-id:uid={uid},gid={gid or uid}")
        if spec.has_host_network:
            yield from ("--network", "host")
        if spec.has_host_ipc:
            yield from ("--ipc", "host")
        if spec.has_host_processes:
            yield from ("--pid", "host")
        if spec.hostname and not spec.has_host_network:
            yield from ("--hostname", spec.hostname)
        for name, address in spec.hosts.items():
            yield from ("--add-host", f"{name}:{address}")
        for port, own in spec.published.items():
            yield from ("--publish", f"127.0.0.1:{port}:{own}")
        if _SELINUX.exists():
            yield from ("--security-opt", "label=disable")

    def _limits(self, spec: ContainerSpec) -> Iterator[str]:
        if spec.cpu_limit is not None:
            yield from ("--cpus", f"{spec.cpu_limit / 1000:g}")
        if spec.memory_limit is not None:
            # Without the second word twice as much could be swapped out.
            yield from ("--memory", str(spec.memory_limit), "--memory-swap", str(spec.memory_limit))
        if spec.is_read_only:
            yield "--read-only"
        if not spec.may_gain_privileges:
            yield from ("--security-opt", "no-new-privileges")
        for flag, names in (
            ("--cap-add", spec.added_capabilities),
            ("--cap-drop", spec.dropped_capabilities),
        ):
            for name in names:
                yield from (flag, name)
        if spec.devices and (self.is_podman or _has_cdi()):
            for device in spec.devices:
                yield from ("--device", f"nvidia.com/gpu={device}")
        elif spec.devices:
            # Docker reads the value as CSV, in which a comma separates options unless it is quoted.
            yield from ("--gpus", f'"device={",".join(spec.devices)}"')


def podman(program: str) -> DockerLike:
    """Podman at this path."""
    return DockerLike(program, True)


def docker(program: str) -> DockerLike:
    """Docker at this path."""
    return DockerLike(program, False)


def _is_engines_own(name: str) -> bool:
    return name in _ENGINES_NAMES or name.startswith(_ENGINES_PREFIXES) or name.lower().endswith("_proxy")


def _mount_words(mount: Mount) -> str:
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    if mount.is_read_only:
        fields.append("readonly")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _was_out_of_memory(state: str) -> bool:
    try:
        return json.loads(state).get("OOMKilled") is True
    except (ValueError, AttributeError):
        return False


def _has_cdi() -> bool:
    return any(directory.is_dir() and any(directory.glob("nvidia*")) for directory in _CDI_DIRECTORIES)
