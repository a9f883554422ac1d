"""Chooses how this machine runs trials: as processes or in containers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from katibpy.app.configuration import CONTAINER, Configuration
from katibpy.errors import InputError, RunnerError
from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.container.containers import Containers
from katibpy.runners.container.engine import choose_engine
from katibpy.runners.execution import Execution
from katibpy.runners.host_processes import HostProcesses


def local_execution(
    configuration: Configuration | None = None,
    *,
    runner: str = "",
    engine: str = "",
    working_directory: Path | None = None,
) -> Execution:
    """The way in which trials are run.

    Args:
        configuration: of this machine; processes when not given.
        runner: `local` or `container`, in place of what the configuration says.
        engine: a container engine, in place of what the configuration says; asks for containers by itself.
        working_directory: of trials that name none; the current one unless given.

    Raises:
        InputError: containers are wanted, and there is no engine that works.
    """
    settings = configuration or Configuration()
    here = (working_directory or Path.cwd()).absolute()
    if (runner or (CONTAINER if engine else settings.runner)) != CONTAINER:
        if engine:
            raise InputError(f"--engine {engine} is for --runner container, got --runner {runner}")
        return HostProcesses(here, settings.images)
    try:
        found = choose_engine(ENGINES, engine or settings.engine)
    except RunnerError as error:
        raise InputError(str(error)) from error
    return Containers(dataclasses.replace(found, options=settings.engine_options), working_directory=here)
