"""The containers of an attempt, written down before they are made, so that anybody can remove them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from katibpy.errors import RunnerError
from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.container.engine import Engine
from katibpy.runners.container.spec import ContainerSpec

logger = logging.getLogger(__name__)

FILE_NAME = "containers.json"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What an attempt may leave behind.

    Attributes:
        engine: name of the engine.
        program: its path.
        names: of the containers.
        memory_limits: in bytes, in the same order; None where there is none.
    """

    engine: str
    program: str
    names: tuple[str, ...]
    memory_limits: tuple[int | None, ...]

    def save(self, attempt: Path) -> None:
        """Writes it to the attempt's directory, whole.

        Raises:
            OSError: it cannot be written.
        """
        document = {
            "engine": self.engine,
            "program": self.program,
            "names": self.names,
            "memoryLimits": self.memory_limits,
        }
        draft = attempt / f"{FILE_NAME}.draft"
        draft.write_text(json.dumps(document), encoding="utf-8")
        os.replace(draft, attempt / FILE_NAME)

    @classmethod
    def load(cls, attempt: Path) -> Leftovers | None:
        """What was saved, None when nothing was."""
        try:
            document = json.loads((attempt / FILE_NAME).read_text(encoding="utf-8"))
            return cls(
                engine=document["engine"],
                program=document["program"],
                names=tuple(document["names"]),
                memory_limits=tuple(document["memoryLimits"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def leftovers_of(engine: Engine, specs: Sequence[ContainerSpec]) -> Leftovers:
    """What these containers leave behind."""
    return Leftovers(
        engine=engine.name,
        program=engine.program,
        names=tuple(spec.name for spec in specs),
        memory_limits=tuple(spec.memory_limit for spec in specs),
    )


def clear_containers(attempt: Path) -> str:
    """Ends and removes the containers of an attempt, whatever ran it; no-op when it has none.

    Returns:
        What was had of memory, and was not to be; "" when that ended none of them.
    """
    left = Leftovers.load(attempt)
    maker = None if left is None else ENGINES.get(left.engine)
    if left is None or maker is None:
        return ""
    engine, excess = maker(left.program), ""
    for name, limit in zip(left.names, left.memory_limits, strict=True):
        try:
            if engine.remove(name):
                excess = f"its container used more memory than the {limit} bytes of resources.limits.memory"
        except RunnerError as error:
            logger.warning("%s", error)
    return excess
