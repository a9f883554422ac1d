"""Apptainer, which runs an image as processes of the caller: no daemon, no other user, nothing to remove."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from katibpy.runners.container.engine import PROBE_TIMEOUT_SECONDS, Call, ask, last_line
from katibpy.runners.container.spec import ContainerSpec

_VARIABLE_PREFIX = "APPTAINERENV_"
_FILE_SUFFIXES = (".sif", ".img", ".sqsh")


@dataclass(frozen=True, slots=True)
class Apptainer:
    """Implements `Engine`.

    Attributes:
        program: absolute path.
        options: further words for its `run` and `exec`.
    """

    program: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return "apptainer"

    def probe(self) -> str:
        """Why it cannot run containers now: it does not even tell its version."""
        code, _, error = ask((self.program, "--version"), timeout_seconds=PROBE_TIMEOUT_SECONDS)
        return "" if code == 0 else last_line(error) or f"apptainer --version ended with exit code {code}"

    def run(self, spec: ContainerSpec) -> Call:
        """`exec` for a command, `run` for the image's own entrypoint."""
        words = [self.program, "--quiet", "exec" if spec.command else "run"]
        words += ["--cleanenv", "--no-home", "--contain", "--writable-tmpfs"]
        words += self._surroundings(spec)
        words += [*self.options, image_reference(spec.image), *spec.command, *spec.args]
        told = {_VARIABLE_PREFIX + name: text for name, text in spec.environment.items()}
        return Call(tuple(words), told, is_apart=False)

    def remove(self, name: str) -> bool:
        """Nothing is left once the processes are gone; what memory they had is not told."""
        return False

    def refusals(self, spec: ContainerSpec) -> Sequence[str]:
        """Users other than one's own, and what needs a network or a root of one's own."""
        found = []
        own = {"", f"{os.geteuid()}", f"{os.geteuid()}:{os.getegid()}"}
        if spec.user not in own:
            found.append(
                f"apptainer runs containers as this user ({os.geteuid()}:{os.getegid()}), not as {spec.user}"
            )
        if spec.hosts or spec.hostname:
            found.append("apptainer's containers have this host's name and addresses")
        return found

    def _surroundings(self, spec: ContainerSpec) -> Iterator[str]:
        if spec.working_directory:
            yield from ("--pwd", spec.working_directory)
        for mount in spec.mounts:
            yield from ("--bind", f"{mount.source}:{mount.target}:{'ro' if mount.is_read_only else 'rw'}")
        for scratch in spec.scratch:
            yield from ("--scratch", scratch.target)
        if spec.devices:
            yield "--nv"
        if spec.cpu_limit is not None:
            yield from ("--cpus", f"{spec.cpu_limit / 1000:g}")
        if spec.memory_limit is not None:
            yield from ("--memory", str(spec.memory_limit))
        if not spec.may_gain_privileges:
            yield "--no-privs"
        for flag, names in (
            ("--add-caps", spec.added_capabilities),
            ("--drop-caps", spec.dropped_capabilities),
        ):
            if names:
                yield from (flag, ",".join(names))


def image_reference(image: str) -> str:
    """The image as Apptainer wants it: a file or a reference with a scheme stays, another is a registry's."""
    if "://" in image or image.endswith(_FILE_SUFFIXES) or image.startswith(("/", "./", "../")):
        return image
    return f"docker://{image}"
