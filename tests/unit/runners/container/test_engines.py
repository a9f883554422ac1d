from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from katibpy.errors import RunnerError
from katibpy.runners.container.apptainer import Apptainer
from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.container.docker_like import DockerLike, docker, podman
from katibpy.runners.container.engine import choose_engine
from katibpy.runners.container.spec import ContainerSpec, Mount, Scratch

PLAIN = ContainerSpec(name="katib-1", image="train:2")


def words(engine: DockerLike | Apptainer, spec: ContainerSpec) -> list[str]:
    return list(engine.run(spec).argv)


def pairs(engine: DockerLike | Apptainer, spec: ContainerSpec) -> list[tuple[str, str]]:
    found = words(engine, spec)
    return list(itertools.pairwise(found))


@pytest.fixture(params=[podman, docker], ids=["podman", "docker"])
def engine(request: pytest.FixtureRequest) -> DockerLike:
    made: DockerLike = request.param("/bin/engine")
    return made


def test_a_container_has_a_name_a_label_and_no_second_log(engine: DockerLike) -> None:
    found = words(engine, PLAIN)
    assert found[:4] == ["/bin/engine", "run", "--name", "katib-1"]
    assert ("--label", "org.katibpy.container=katib-1") in pairs(engine, PLAIN)
    assert ("--log-driver", "none") in pairs(engine, PLAIN)
    assert found[-1] == "train:2"


def test_a_command_takes_the_place_of_the_entrypoint(engine: DockerLike) -> None:
    spec = ContainerSpec(name="n", image="train:2", command=("python", "-u"), args=("a.py", "--lr=1"))
    found = words(engine, spec)
    assert found[found.index("--entrypoint") :] == [
        "--entrypoint",
        "python",
        "train:2",
        "-u",
        "a.py",
        "--lr=1",
    ]
    only_arguments = words(engine, ContainerSpec(name="n", image="train:2", args=("a.py",)))
    assert "--entrypoint" not in only_arguments
    assert only_arguments[-2:] == ["train:2", "a.py"]


def test_values_of_variables_are_on_no_command_line(engine: DockerLike) -> None:
    secret = {"TOKEN": "s3cret", "LINES": "a\nb"}
    call = engine.run(ContainerSpec(name="n", image="i", environment=secret))
    assert not any("s3cret" in word or "\n" in word for word in call.argv)
    assert call.environment == secret
    assert {("--env", name) for name in secret} <= set(zip(call.argv, call.argv[1:], strict=False))


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "DOCKER_HOST", "https_proxy", "XDG_RUNTIME_DIR", "LD_PRELOAD"]
)
def test_variables_that_the_engine_reads_itself_do_not_reach_it(engine: DockerLike, name: str) -> None:
    call = engine.run(ContainerSpec(name="n", image="i", environment={name: "value"}))
    assert call.environment == {}
    assert f"{name}=value" in call.argv


def test_mounts_say_what_they_mean_whatever_the_path(engine: DockerLike) -> None:
    mounts = (Mount(Path("/a"), "/b"), Mount(Path('/a,b "c"'), "/d", is_read_only=True))
    scratch = (Scratch("/dev/shm", 1 << 20), Scratch("/fast"))
    found = pairs(engine, ContainerSpec(name="n", image="i", mounts=mounts, scratch=scratch))
    assert ("--mount", "type=bind,source=/a,target=/b") in found
    assert ("--mount", 'type=bind,"source=/a,b ""c""",target=/d,readonly') in found
    assert ("--tmpfs", "/dev/shm:rw,nosuid,nodev,mode=1777,size=1048576") in found
    assert ("--tmpfs", "/fast:rw,nosuid,nodev,mode=1777") in found


def test_limits_users_and_rights_are_handed_on(engine: DockerLike) -> None:
    spec = ContainerSpec(
        name="n",
        image="i",
        user="1000:100",
        cpu_limit=1500,
        memory_limit=1 << 30,
        pull="never",
        has_host_network=True,
        has_host_ipc=True,
        is_read_only=True,
        may_gain_privileges=False,
        added_capabilities=("SYS_NICE",),
        dropped_capabilities=("ALL",),
        hosts={"db": "10.0.0.1"},
        working_directory="/work",
    )
    found = pairs(engine, spec)
    for pair in (
        ("--user", "1000:100"),
        ("--cpus", "1.5"),
        ("--memory", "1073741824"),
        ("--memory-swap", "1073741824"),
        ("--pull", "never"),
        ("--network", "host"),
        ("--ipc", "host"),
        ("--security-opt", "no-new-privileges"),
        ("--cap-add", "SYS_NICE"),
        ("--cap-drop", "ALL"),
        ("--add-host", "db:10.0.0.1"),
        ("--workdir", "/work"),
    ):
        assert pair in found
    assert "--read-only" in words(engine, spec)


def test_gpus_are_devices_of_podman_and_an_option_of_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("katibpy.runners.container.docker_like._CDI_DIRECTORIES", ())
    spec = ContainerSpec(name="n", image="i", devices=("GPU-1", "GPU-2"))
    found = pairs(podman("/bin/podman"), spec)
    assert ("--device", "nvidia.com/gpu=GPU-1") in found
    assert ("--device", "nvidia.com/gpu=GPU-2") in found
    assert ("--gpus", '"device=GPU-1,GPU-2"') in pairs(docker("/bin/docker"), spec)
    for engine in (podman("/bin/podman"), docker("/bin/docker")):
        assert not {"--gpus", "--device"} & set(words(engine, PLAIN))


def test_docker_takes_devices_as_podman_does_where_they_are_described(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidia.yaml").touch()
    monkeypatch.setattr("katibpy.runners.container.docker_like._CDI_DIRECTORIES", (tmp_path,))
    spec = ContainerSpec(name="n", image="i", devices=("GPU-1",))
    assert ("--device", "nvidia.com/gpu=GPU-1") in pairs(docker("/bin/docker"), spec)


def test_further_options_stand_before_the_image() -> None:
    found = words(DockerLike("/bin/podman", True, ("--network=none",)), PLAIN)
    assert found[-2:] == ["--network=none", "train:2"]


# Apptainer.


def test_apptainer_runs_a_command_or_the_images_own() -> None:
    engine = Apptainer("/bin/apptainer")
    spec = ContainerSpec(
        name="n",
        image="train:2",
        command=("python",),
        args=("a.py",),
        environment={"A": "1"},
        mounts=(Mount(Path("/a"), "/b", is_read_only=True),),
        devices=("GPU-1",),
        cpu_limit=500,
        memory_limit=1024,
        working_directory="/work",
    )
    call = engine.run(spec)
    assert call.argv[:3] == ("/bin/apptainer", "--quiet", "exec")
    assert call.argv[-3:] == ("docker://train:2", "python", "a.py")
    assert call.environment == {"APPTAINERENV_A": "1"}
    found = set(zip(call.argv, call.argv[1:], strict=False))
    assert {("--bind", "/a:/b:ro"), ("--pwd", "/work"), ("--cpus", "0.5"), ("--memory", "1024")} <= found
    assert "--nv" in call.argv
    assert "--cleanenv" in call.argv
    own = engine.run(ContainerSpec(name="n", image="./train.sif", args=("x",)))
    assert own.argv[2] == "run"
    assert own.argv[-2:] == ("./train.sif", "x")


def test_apptainer_refuses_to_be_somebody_else() -> None:
    engine = Apptainer("/bin/apptainer")
    own = ContainerSpec(name="n", image="i", user=f"{os.geteuid()}:{os.getegid()}")
    assert engine.refusals(own) == []
    (refusal,) = engine.refusals(ContainerSpec(name="n", image="i", user="12345"))
    assert "not as 12345" in refusal


# Choosing one.


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_first_engine_that_works_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "podman", "echo 'no storage here' >&2; exit 125")
    program(tmp_path, "docker", "echo 27.0")
    program(tmp_path, "apptainer", "echo apptainer 1.3")
    assert choose_engine(ENGINES).name == "docker"
    assert choose_engine(ENGINES, "apptainer").name == "apptainer"


def test_without_an_engine_each_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(RunnerError) as caught:
        choose_engine(ENGINES)
    said = str(caught.value)
    assert "podman is not installed; docker does not work (Cannot connect to the Docker daemon)" in said
    assert "--runner local" in said
    with pytest.raises(RunnerError, match=r"must be one of podman, docker, apptainer, got 'rkt'"):
        choose_engine(ENGINES, "rkt")


def test_a_container_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    program(tmp_path, "podman", "echo 'device busy' >&2; exit 1")
    with pytest.raises(RunnerError, match="katib-1 cannot be removed: device busy"):
        podman(str(tmp_path / "podman")).remove("katib-1")


@pytest.mark.parametrize(
    ("state", "expected"),
    [('{"OOMKilled": true}', True), ('{"OOMKilled": false}', False), ("nonsense", False)],
)
def test_the_engine_tells_whether_memory_ran_out(tmp_path: Path, state: str, expected: bool) -> None:
    program(tmp_path, "podman", f"case $1 in container) echo '{state}';; esac")
    assert podman(str(tmp_path / "podman")).remove("katib-1") is expected
