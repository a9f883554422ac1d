from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.app.configuration import Configuration, read_configuration
from katibpy.app.execution import local_execution
from katibpy.errors import InputError
from katibpy.runners.host_processes import HostProcesses
from katibpy.runners.job_shape import shape_of


def written(directory: Path, text: str) -> Path:
    path = directory / "machine.yaml"
    path.write_text(text)
    return path


def test_without_a_file_trials_are_processes(tmp_path: Path) -> None:
    assert read_configuration(tmp_path).runner == "local"
    assert isinstance(local_execution(Configuration()), HostProcesses)


def test_the_state_directorys_file_is_read_and_one_that_is_named_comes_first(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "runner: container\ncontainer: {engine: docker, options: [--init]}\n"
    )
    found = read_configuration(tmp_path)
    assert (found.runner, found.engine, found.engine_options) == ("container", "docker", ("--init",))
    assert read_configuration(tmp_path, written(tmp_path, "runner: local\n")).runner == "local"


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read_configuration(tmp_path, written(tmp_path, "")).runner == "local"


def test_images_have_paths_relative_to_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        images:
          - image: registry.example/mnist
            workingDir: src
            interpreter: /envs/torch/bin/python
            path: [bin, ~/bin]
            directories: {/opt/mnist: src/mnist}
        """,
    )
    images = read_configuration(tmp_path, path).images
    container = {"name": "main", "image": "registry.example/mnist:v1"}
    found = images.find(shape_of({"spec": {"template": {"spec": {"containers": [container]}}}}, "main"))
    assert found is not None
    assert found.working_directory == tmp_path / "src"
    assert found.interpreter == Path("/envs/torch/bin/python")
    assert found.search_first == (tmp_path / "bin", Path.home() / "bin")
    assert found.directories == {"/opt/mnist": tmp_path / "src/mnist"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "the file must be a mapping"),
        ("runner: both", "runner must be local or container, got 'both'"),
        ("runer: local", "the file has no field 'runer'; did you mean runner?"),
        ("container: {engine: rkt}", "container.engine must be one of podman, docker, apptainer, got 'rkt'"),
        ("container: {options: --init}", "container.options must be a list of texts"),
        ("images: {}", "images must be a list"),
        ("images: [{workingDir: /x}]", r"images\[0\].image must be a text, got None"),
        ("images: [{image: x, directories: {opt: /x}}]", "must have absolute paths of the image as keys"),
        ("images: [{image: x, path: 3}]", r"images\[0\].path must be a list of texts"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    if text == "images: {}":
        text = "images: {a: b}"
    with pytest.raises(InputError, match=said):
        read_configuration(tmp_path, written(tmp_path, text))


def test_an_engine_is_for_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--engine podman is for --runner container"):
        local_execution(runner="local", engine="podman")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="podman is not installed"):
        local_execution(engine="podman")
