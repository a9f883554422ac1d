from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.runners.host_images import HostImage, HostImages
from katibpy.runners.host_processes import HostProcesses
from katibpy.runners.local_job import LocalJob

DIRECTORY = Path("/trials/default/box-0123456789")
HERE = Path("/here")


def made(image: HostImage, command: list[str], **container: Any) -> LocalJob:
    main = {"name": "main", "image": "registry.example:5000/team/train:v2", "command": command, **container}
    spec = {"template": {"spec": {"containers": [main]}}}
    run_spec = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "box"}, "spec": spec}
    trial = Trial(metadata=ObjectMeta(name="box", uid="uid"), spec=TrialSpec(run_spec=run_spec))
    return HostProcesses(HERE, HostImages([image])).job_of(trial, DIRECTORY)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("registry.example:5000/team/train:v2", True),
        ("registry.example:5000/team/train", True),
        ("registry.example:5000/*", True),
        ("*/train:*", True),
        ("registry.example:5000/team/train:v1", False),
        ("train", False),
    ],
)
def test_a_pattern_fits_names_with_and_without_their_tags(pattern: str, fits: bool) -> None:
    assert HostImage(pattern).fits("registry.example:5000/team/train:v2") is fits
    assert HostImage(pattern).fits("registry.example:5000/team/train:v2@sha256:0") is fits


def test_the_working_directory_stands_in_where_the_pod_names_none() -> None:
    image = HostImage("*", working_directory=Path("/src"))
    assert made(image, ["train"]).working_directory == Path("/src")
    assert made(image, ["train"], workingDir="sub").working_directory == Path("/src/sub")
    assert made(image, ["train"], workingDir="/abs").working_directory == Path("/abs")


@pytest.mark.parametrize("word", ["python", "python3", "/no/such/usr/bin/python3.10"])
def test_python_is_the_interpreter_of_the_image(word: str) -> None:
    image = HostImage("*", interpreter=Path("/envs/torch/bin/python"), search_first=(Path("/tools"),))
    job = made(image, [word, "train.py"])
    assert job.argv == ("/envs/torch/bin/python", "train.py")
    assert job.search_first == ("/envs/torch/bin", "/tools")
    assert made(image, ["torchrun"]).argv == ("torchrun",)


def test_directories_of_the_image_are_moved_here() -> None:
    image = HostImage("*", directories={"/opt/no-such": Path("/src/mnist")})
    env = [{"name": "DATA", "value": "/opt/no-such/data"}]
    job = made(image, ["python", "/opt/no-such/mnist.py"], env=env, workingDir="/opt/no-such")
    assert job.argv == ("python", "/src/mnist/mnist.py")
    assert job.environment["DATA"] == "/src/mnist/data"
    assert job.working_directory == Path("/src/mnist")


def test_other_images_are_left_alone() -> None:
    job = made(HostImage("another", working_directory=Path("/src")), ["python", "x"])
    assert (job.argv, job.working_directory, job.search_first) == (("python", "x"), HERE, ())


def test_programs_of_the_image_are_found_before_all_others(tmp_path: Path) -> None:
    program = tmp_path / "train"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    image = HostImage("*", working_directory=tmp_path, search_first=(tmp_path,))
    execution = HostProcesses(HERE, HostImages([image]))
    job = made(image, ["train"])
    launch = execution.launch(job, {"PATH": "/usr/bin"}, {}, tmp_path / "attempt-1")
    assert launch.argv == (str(program),)
    assert launch.environment["PATH"] == f"{tmp_path}{os.pathsep}/usr/bin"
