"""Joins what a configuration says of algorithms with what starts and reaches their services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from katibpy.app.algorithm_sources import AlgorithmSource
from katibpy.app.configuration import Configuration
from katibpy.core.endpoints import Security
from katibpy.errors import InputError, RunnerError
from katibpy.launchers.guarded import HOST, Command
from katibpy.launchers.plug_ins import PlugIn, PlugInLauncher
from katibpy.ports import Launcher
from katibpy.rpc.probing import answers
from katibpy.runners.container.docker_like import DockerLike, docker, podman
from katibpy.runners.container.engine import choose_engine
from katibpy.runners.container.spec import ContainerSpec
from katibpy.runners.expansion import expand

PORT_VARIABLE = "KATIB_ALGORITHM_PORT"
ADDRESS_VARIABLE = "KATIB_ALGORITHM_ADDRESS"
"""What a program finds out by where to listen."""

KATIB_PORT = 6789
"""Where the services in Katib's images listen."""

_START_SECONDS = 60.0
_IMAGE_START_SECONDS = 900.0
"""It may have to be pulled first."""

_ENGINES = {"podman": podman, "docker": docker}


def with_plug_ins(configuration: Configuration, otherwise: Launcher, *, log_directory: Path) -> Launcher:
    """A launcher for the algorithms of the configuration and for all others.

    Args:
        configuration: of this machine.
        otherwise: knows all algorithms that the configuration does not name.
        log_directory: gets the outputs of what is started.

    Raises:
        InputError: a file of certificates or a token cannot be read.
    """
    if not configuration.algorithms:
        return otherwise
    plug_ins = {name: _plug_in(source, configuration) for name, source in configuration.algorithms.items()}
    return PlugInLauncher(plug_ins, otherwise=otherwise, log_directory=log_directory, probe=answers)


def _plug_in(source: AlgorithmSource, configuration: Configuration) -> PlugIn:
    if source.address:
        return PlugIn(
            address=source.address,
            is_shared=True,
            call_seconds=source.call_seconds,
            security=security_of(source.authority, source.token_file),
        )
    recipe = _ImageRecipe(source, configuration) if source.image else _ProgramRecipe(source)
    usual = _IMAGE_START_SECONDS if source.image else _START_SECONDS
    return PlugIn(
        recipe=recipe,
        is_shared=source.is_shared,
        call_seconds=source.call_seconds,
        start_timeout_seconds=source.start_seconds or usual,
    )


def security_of(authority: Path | None, token_file: Path | None = None) -> Security | None:
    """What the files hold; None without certificates.

    Raises:
        InputError: one cannot be read.
    """
    if authority is None:
        return None
    try:
        token = "" if token_file is None else token_file.read_text(encoding="utf-8").strip()
        return Security(authority.read_bytes(), token)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"what makes the connection safe cannot be read: {error}") from error


class _ProgramRecipe:
    """Starts a program of this machine, in this program's environment."""

    def __init__(self, source: AlgorithmSource) -> None:
        self._source = source

    def __call__(self, port: int, *, instance: str) -> Command:
        source = self._source
        told = {PORT_VARIABLE: str(port), ADDRESS_VARIABLE: f"{HOST}:{port}"}
        declared = _expanded(source.environment, told)
        return Command(
            argv=tuple(expand(word, {**declared, **told}) for word in (*source.command, *source.args)),
            environment={**os.environ, **declared, **told},
            working_directory=Path(source.working_directory),
        )


class _ImageRecipe:
    """Starts a container whose port 6789 is published on loopback. The engine is looked for once."""

    def __init__(self, source: AlgorithmSource, configuration: Configuration) -> None:
        self._source = source
        self._configuration = configuration
        self._engine: DockerLike | None = None

    def __call__(self, port: int, *, instance: str) -> Command:
        source, engine = self._source, self._engine or self._chosen()
        self._engine = engine
        environment = _expanded(source.environment, {})
        spec = ContainerSpec(
            name=f"katib-algorithm-{instance}",
            image=source.image,
            command=tuple(expand(word, environment) for word in source.command),
            args=tuple(expand(word, environment) for word in source.args),
            environment=environment,
            working_directory=source.working_directory,
            cpu_limit=source.cpu_limit,
            memory_limit=source.memory_limit,
            pull=source.pull,
            published={port: KATIB_PORT},
        )
        call = engine.run(spec)
        return Command(
            argv=call.argv,
            environment={**os.environ, **call.environment},
            afterwards=engine.removal(spec.name),
        )

    def _chosen(self) -> DockerLike:
        wanted = self._configuration.engine
        if wanted and wanted not in _ENGINES:
            known = " or ".join(_ENGINES)
            raise OSError(f"images of algorithms need {known}, got container.engine: {wanted}")
        try:
            found = choose_engine(_ENGINES, wanted)
        except RunnerError as error:
            said = str(error).partition(". Install")[0]
            raise OSError(f"the image {self._source.image} needs podman or docker: {said}") from error
        return DockerLike(found.program, found.is_podman, self._configuration.engine_options)


def _expanded(declared: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The variables with references to those before them replaced, as Kubernetes does."""
    found: dict[str, str] = {}
    for name, value in declared.items():
        found[name] = expand(value, {**told, **found})
    return found
