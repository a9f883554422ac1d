"""The engines there are, in the order in which they are preferred."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from katibpy.runners.container.apptainer import Apptainer
from katibpy.runners.container.docker_like import DockerLike, docker, podman

ENGINES: Mapping[str, Callable[[str], DockerLike | Apptainer]] = {
    "podman": podman,
    "docker": docker,
    "apptainer": Apptainer,
}
