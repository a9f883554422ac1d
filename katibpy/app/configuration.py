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
    suggestions:                       # algorithms that come from elsewhere
      - algorithmName: my-search
        command: [node, dist/server.js]
    katibConfig: katib-config.yaml     # and those of a KatibConfig

Paths are relative to the file; `~` is the home directory. The file is the one that is named, or `config.yaml`
of the state directory when there is one. A file that is a KatibConfig itself stands for one with nothing but
that `katibConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from katibpy.app.algorithm_sources import AlgorithmSource, sources_of, sources_of_katib
from katibpy.app.configuration_fields import Wrong, fields, file_path, items, text, texts
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
        algorithms: those that come from elsewhere, by name.
    """

    runner: str = LOCAL
    engine: str = ""
    engine_options: tuple[str, ...] = ()
    images: HostImages = field(default_factory=HostImages)
    algorithms: Mapping[str, AlgorithmSource] = field(default_factory=dict)


def read_configuration(state_dir: Path, file: Path | None = None) -> Configuration:
    """Reads the file that is named, or that of the state directory, which may be missing.

    Raises:
        InputError: it cannot be read, or says something that it must not; with its path.
    """
    path = file or state_dir / FILE_NAME
    if file is None and not path.is_file():
        return Configuration()
    document = _document(path)
    try:
        return _configuration(document, path.absolute().parent)
    except Wrong as error:
        raise InputError(f"configuration {path}: {error}") from None


def _document(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"configuration {path} cannot be read: {error}") from error


def _configuration(document: Any, base: Path) -> Configuration:
    if isinstance(document, Mapping) and document.get("kind") in ("KatibConfig", "ConfigMap"):
        return Configuration(algorithms=sources_of_katib(document, "the file", base))
    known = ("runner", "container", "images", "suggestions", "katibConfig")
    found = fields(document, "the file", known)
    runner = found.get("runner", LOCAL)
    if runner not in RUNNERS:
        raise Wrong(f"runner must be {' or '.join(RUNNERS)}, got {runner!r}")
    container = fields(found.get("container"), "container", ("engine", "options"))
    engine = container.get("engine", "")
    if engine and engine not in ENGINES:
        raise Wrong(f"container.engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    images = items(found.get("images"), "images")
    katibs: Mapping[str, AlgorithmSource] = {}
    if "katibConfig" in found:
        path = file_path(found["katibConfig"], "katibConfig", base)
        katibs = sources_of_katib(_document(path), f"katibConfig {path}", path.parent)
    return Configuration(
        runner=runner,
        engine=engine,
        engine_options=texts(container.get("options"), "container.options"),
        images=HostImages([_image(each, f"images[{index}]", base) for index, each in enumerate(images)]),
        algorithms={**katibs, **sources_of(found.get("suggestions"), "suggestions", base)},
    )


def _image(entry: Any, path: str, base: Path) -> HostImage:
    known = ("image", "workingDir", "interpreter", "path", "directories")
    found = fields(entry, path, known)
    working, interpreter = found.get("workingDir"), found.get("interpreter")
    directories = found.get("directories") or {}
    if not isinstance(directories, Mapping):
        raise Wrong(f"{path}.directories must be a mapping, got {directories!r}")
    for inside in directories:
        if not isinstance(inside, str) or not inside.startswith("/"):
            raise Wrong(f"{path}.directories must have absolute paths of the image as keys, got {inside!r}")
    return HostImage(
        pattern=text(found.get("image"), f"{path}.image"),
        working_directory=None if working is None else file_path(working, f"{path}.workingDir", base),
        interpreter=None if interpreter is None else file_path(interpreter, f"{path}.interpreter", base),
        search_first=tuple(
            file_path(each, f"{path}.path", base) for each in texts(found.get("path"), f"{path}.path")
        ),
        directories={
            inside: file_path(own, f"{path}.directories.{inside}", base)
            for inside, own in directories.items()
        },
    )
