"""The configuration file of this machine: how trials are run when the command line does not say.

    runner: local                      # or container
    container:
      engine: podman                   # or docker, apptainer; the first that works when not given
      options: [--network=none]        # further words for the engine's run
    images:                            # what stands for images when trials are processes
      - image: docker.io/kubeflowkatib/pytorch-mnist
        workingDir: ~/src/mnist
        interpreter: ~/envs/torch/bin/python
        path: [~/bin]
        directories: {/opt/pytorch-mnist: ~/src/mnist}

Paths are relative to the file; `~` is the home directory. The file is the one that is named, or `config.yaml`
of the state directory when there is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from katibpy.errors import InputError
from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.host_images import HostImage, HostImages

FILE_NAME = "config.yaml"
"""What the file is called in a state directory."""

LOCAL, CONTAINER = "local", "container"
RUNNERS = (LOCAL, CONTAINER)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says.

    Attributes:
        runner: one of `RUNNERS`.
        engine: a container engine; "" for any.
        engine_options: further words for its `run`.
        images: what stands for images.
    """

    runner: str = LOCAL
    engine: str = ""
    engine_options: tuple[str, ...] = ()
    images: HostImages = field(default_factory=HostImages)


def read_configuration(state_dir: Path, file: Path | None = None) -> Configuration:
    """Reads the file that is named, or that of the state directory, which may be missing.

    Raises:
        InputError: it cannot be read, or says something that it must not; with its path.
    """
    path = file or state_dir / FILE_NAME
    if file is None and not path.is_file():
        return Configuration()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"configuration {path} cannot be read: {error}") from error
    try:
        return _configuration(document, path.absolute().parent)
    except _Wrong as error:
        raise InputError(f"configuration {path}: {error}") from None


class _Wrong(Exception):
    """A field breaks a rule."""


def _configuration(document: Any, base: Path) -> Configuration:
    fields = _fields(document, "the file", ("runner", "container", "images"))
    runner = fields.get("runner", LOCAL)
    if runner not in RUNNERS:
        raise _Wrong(f"runner must be {' or '.join(RUNNERS)}, got {runner!r}")
    container = _fields(fields.get("container"), "container", ("engine", "options"))
    engine = container.get("engine", "")
    if engine and engine not in ENGINES:
        raise _Wrong(f"container.engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    images = fields.get("images") or []
    if not isinstance(images, list):
        raise _Wrong(f"images must be a list, got {images!r}")
    return Configuration(
        runner=runner,
        engine=engine,
        engine_options=_texts(container.get("options"), "container.options"),
        images=HostImages([_image(each, f"images[{index}]", base) for index, each in enumerate(images)]),
    )


def _image(entry: Any, path: str, base: Path) -> HostImage:
    known = ("image", "workingDir", "interpreter", "path", "directories")
    fields = _fields(entry, path, known)
    pattern = _text(fields.get("image"), f"{path}.image")
    working, interpreter = fields.get("workingDir"), fields.get("interpreter")
    directories = fields.get("directories") or {}
    if not isinstance(directories, Mapping):
        raise _Wrong(f"{path}.directories must be a mapping, got {directories!r}")
    for inside in directories:
        if not isinstance(inside, str) or not inside.startswith("/"):
            raise _Wrong(f"{path}.directories must have absolute paths of the image as keys, got {inside!r}")
    return HostImage(
        pattern=pattern,
        working_directory=None if working is None else _path(working, f"{path}.workingDir", base),
        interpreter=None if interpreter is None else _path(interpreter, f"{path}.interpreter", base),
        search_first=tuple(
            _path(each, f"{path}.path", base) for each in _texts(fields.get("path"), f"{path}.path")
        ),
        directories={
            inside: _path(own, f"{path}.directories.{inside}", base) for inside, own in directories.items()
        },
    )


def _path(value: Any, path: str, base: Path) -> Path:
    return base / Path(_text(value, path)).expanduser()


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{path} must be a text, got {value!r}")
    return value


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _Wrong(f"{path} must be a list of texts, got {value!r}")
    return tuple(value)


def _fields(value: Any, path: str, known: Iterable[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Wrong(f"{path} must be a mapping, got {value!r}")
    for name in value:
        if name not in tuple(known):
            near = difflib.get_close_matches(str(name), tuple(known), n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise _Wrong(f"{path} has no field {name!r}{hint}")
    return value
