"""What stands for container images when trials are plain processes: directories and programs of this host."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from katibpy.errors import FieldError, InvalidResource
from katibpy.runners.job_shape import JobShape
from katibpy.runners.local_job import Process
from katibpy.runners.private_paths import Move, PathMover, UnsafePath

_P = TypeVar("_P", bound=Process)

_PYTHON = re.compile(r"(.*/)?python(3(\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class HostImage:
    """What stands for the images whose names fit a pattern.

    Attributes:
        pattern: as of a shell, `docker.io/library/python:*`; a name without a tag fits with any.
        working_directory: of pods without `workingDir`, and what a relative one is relative to.
        interpreter: what `python` stands for as the first word of a command, and whose directory comes first
            in PATH.
        search_first: further directories that come first in PATH.
        directories: directories of the image to those of this host that stand for them.
    """

    pattern: str
    working_directory: Path | None = None
    interpreter: Path | None = None
    search_first: tuple[Path, ...] = ()
    directories: Mapping[str, Path] = field(default_factory=dict)

    def fits(self, image: str) -> bool:
        """Whether the image is one of those."""
        name = image.partition("@")[0]
        untagged = re.sub(r":[^/:]*$", "", name)
        return any(fnmatch.fnmatchcase(each, self.pattern) for each in (image, name, untagged))


class HostImages:
    """All that stands for images; the first that fits counts. Immutable."""

    def __init__(self, images: Sequence[HostImage] = ()) -> None:
        self._images = tuple(images)

    def find(self, shape: JobShape) -> HostImage | None:
        """What stands for the image of a pod, None when nothing does."""
        name = shape.container.get("image")
        if not isinstance(name, str):
            return None
        return next((image for image in self._images if image.fits(name)), None)

    def working_directory(self, shape: JobShape, default: Path) -> Path:
        """Where a pod without `workingDir` runs."""
        image = self.find(shape)
        return default if image is None or image.working_directory is None else image.working_directory

    def applied(self, process: _P, shape: JobShape) -> _P:
        """The process with what stands for its image.

        Raises:
            InvalidResource: a directory cannot be put in its place.
        """
        image = self.find(shape)
        if image is None:
            return process
        mover = PathMover(Move(path, own, is_directory=True) for path, own in image.directories.items())
        try:
            argv = tuple(map(mover.move, process.argv))
            environment = {name: mover.move(text) for name, text in process.environment.items()}
            working = Path(mover.move(str(process.working_directory)))
        except UnsafePath as error:
            raise InvalidResource([FieldError(f"spec.runSpec.{shape.container_path}", str(error))]) from error
        first = tuple(map(str, image.search_first))
        if image.interpreter is not None:
            # Not resolved: an interpreter of a virtual environment is known by the link's own place.
            first = (os.path.dirname(image.interpreter), *first)
            if argv and _PYTHON.fullmatch(argv[0]) and not os.path.exists(argv[0]):
                argv = (str(image.interpreter), *argv[1:])
        return replace(
            process, argv=argv, environment=environment, working_directory=working, search_first=first
        )
