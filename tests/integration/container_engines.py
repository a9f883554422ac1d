"""Container engines for tests: a stand-in that works everywhere, and podman where it works."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from katibpy.runners.container.catalog import ENGINES
from katibpy.runners.container.engine import Engine

IMAGE = "localhost/katib-test:1"
ENTRYPOINT_IMAGE = "localhost/katib-entry:1"
"""Its entrypoint prints `entry` and its arguments, which are `by default` unless others are given."""
ENTRYPOINT = ["/bin/sh", "-c", 'echo entry "$@"', "entry"]
DEFAULT_ARGUMENTS = ["by", "default"]

_STANDIN = '''#!{python}
"""Runs "containers" as processes, with the parts of podman's command line that are used here."""
import json, os, signal, subprocess, sys
from pathlib import Path

STATE = Path({state!r})
IMAGES = {images!r}
SWITCHES = ("--quiet", "--read-only")


def record(name):
    return STATE / (name + ".json")


def run(words):
    options, rest = {{}}, list(words)
    while rest[0].startswith("--"):
        word = rest.pop(0)
        options.setdefault(word, []).append("" if word in SWITCHES else rest.pop(0))
    image, arguments = rest[0], rest[1:]
    name = options["--name"][0]
    if image not in IMAGES:
        fail(image + ": image not known")
    if record(name).exists():
        fail("the container name " + name + " is already in use")
    entrypoint, default = IMAGES[image]
    if "--entrypoint" in options:
        command = options["--entrypoint"] + arguments
    else:
        command = entrypoint + (arguments or default)
    environment = {{"PATH": "/usr/bin:/bin"}}
    for entry in options.get("--env", []):
        key, equals, text = entry.partition("=")
        environment[key] = text if equals else os.environ[key]
    for published in options.get("--publish", []):
        # There is no network of its own, so whoever would listen at the inner port listens at the outer one.
        address, _, own = published.rpartition(":")
        command = [address.rpartition(":")[2] if word == own else word for word in command]
    moves = []
    for mount in options.get("--mount", []):
        parts = dict(part.partition("=")[::2] for part in mount.split(","))
        if not os.path.exists(parts["source"]):
            fail("statfs " + parts["source"] + ": no such file or directory")
        moves.append((parts["target"], parts["source"]))
    for target, source in sorted(moves, key=lambda move: -len(move[0])):
        command = [word.replace(target, source) if source not in word else word for word in command]
    if not os.path.exists(command[0]):
        fail("runc: exec: " + command[0] + ": no such file or directory", 127)
    directory = (options.get("--workdir") or ["/"])[0]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    process = subprocess.Popen(
        command, env=environment, cwd=directory, start_new_session=True, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, blocked),
    )
    state = {{"pid": process.pid, "options": options, "command": command, "OOMKilled": False}}
    record(name).write_text(json.dumps(state))
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    code = process.wait()
    state["OOMKilled"] = "OUT_OF_MEMORY" in environment
    if record(name).exists():
        record(name).write_text(json.dumps(state))
    sys.exit(code if code >= 0 else 128 - code)


def fail(message, code=125):
    print("Error: " + message, file=sys.stderr)
    sys.exit(code)


def remove(name):
    if not record(name).exists():
        fail("no container with name or ID " + name + " found: no such container", 1)
    try:
        os.killpg(json.loads(record(name).read_text())["pid"], signal.SIGKILL)
    except ProcessLookupError:
        pass
    record(name).unlink()


match sys.argv[1:]:
    case ["info", *_]:
        print("0.0")
    case ["run", *words]:
        run(words)
    case ["container", "inspect", "--format", _, name]:
        print(record(name).read_text() if record(name).exists() else fail("no such container"))
    case ["rm", *words]:
        remove(words[-1])
    case words:
        fail("this stand-in does not know " + " ".join(words))
'''


@dataclass(frozen=True, slots=True)
class TestEngine:
    """An engine that works.

    Attributes:
        kind: `standin` or `podman`.
        directory: on PATH before all others where the engine is found.
        state: where the stand-in keeps its records.
        environment: by which the engine is set up.
    """

    __test__ = False

    kind: str
    directory: Path
    state: Path
    environment: Mapping[str, str]

    @property
    def engine(self) -> Engine:
        return ENGINES["podman"](str(self.directory / "podman"))

    def containers(self) -> list[str]:
        """Names of all containers there are, running or not."""
        if self.kind == "standin":
            return sorted(path.stem for path in self.state.glob("*.json"))
        command = [self.engine.program, "ps", "--all", "--format", "{{.Names}}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return sorted(ended.stdout.split())


@contextlib.contextmanager
def engine_of(kind: str) -> Iterator[TestEngine]:
    """An engine of this kind, set up in the environment of this program.

    Raises:
        EngineMissing: podman does not work here; the message has its own words.
    """
    # Not pytest's directory: sockets must have short paths.
    home = Path(tempfile.mkdtemp(prefix="katib-"))
    try:
        made = _standin(home) if kind == "standin" else _podman(home)
        with _environment(made.environment):
            yield made
            if kind == "podman":
                for words in (["rm", "--all", "--force", "--time", "0"], ["rmi", "--all", "--force"]):
                    subprocess.run(
                        [made.engine.program, *words], capture_output=True, check=False, timeout=60
                    )
    finally:
        shutil.rmtree(home, ignore_errors=True)


class EngineMissing(Exception):
    """An engine does not work on this machine."""


def _standin(home: Path) -> TestEngine:
    state = home / "state"
    state.mkdir()
    images = {IMAGE: ([], []), ENTRYPOINT_IMAGE: (ENTRYPOINT, DEFAULT_ARGUMENTS)}
    program = home / "podman"
    program.write_text(_STANDIN.format(python=sys.executable, state=str(state), images=images))
    program.chmod(0o755)
    environment = {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    return TestEngine("standin", home, state, environment)


def _podman(home: Path) -> TestEngine:
    program = shutil.which("podman")
    if program is None:
        raise EngineMissing("podman is not installed")
    busybox = shutil.which("busybox")
    if busybox is None:
        raise EngineMissing("there is no busybox to make an image of")
    said = _working_settings(program, busybox)
    if isinstance(said, str):
        raise EngineMissing(said)
    environment = _settle(home, *said)
    with _environment(environment):
        _make_images(program, busybox)
    return TestEngine("podman", Path(program).parent, home, environment)


# What a machine may need beyond the defaults, to be tried in this order: limits that its own limits allow,
# and a runtime that knows its control groups.
_SETTINGS = (
    ("", ""),
    ("", 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]'),
    ('runtime = "runc"', 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]'),
)


@functools.cache
def _working_settings(program: str, busybox: str) -> tuple[str, str] | str:
    """Settings with which a container runs; what podman said last when there are none."""
    said = ""
    for engine, containers in _SETTINGS:
        home = Path(tempfile.mkdtemp(prefix="katib-"))
        try:
            with _environment(_settle(home, engine, containers)):
                _make_images(program, busybox)
                command = [program, "run", "--rm", "--log-driver", "none", IMAGE, "/bin/echo", "works"]
                ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            if ended.stdout == "works\n":
                return engine, containers
            said = ended.stderr.strip() or f"exit code {ended.returncode}"
        except (OSError, subprocess.SubprocessError) as error:
            said = f"{error}: {getattr(error, 'stderr', '')}"
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return f"podman does not run a container here: {said}"


def _settle(home: Path, engine: str, containers: str) -> dict[str, str]:
    """Storage and settings of its own, so that nothing of the machine's is touched."""
    storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/storage"\nrunroot = "{home}/run"\n'
    (home / "storage.conf").write_text(storage)
    settings = f'[engine]\ntmp_dir = "{home}/tmp"\n{engine}\n[containers]\n{containers}\n'
    (home / "containers.conf").write_text(settings)
    return {
        "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
        "CONTAINERS_CONF": str(home / "containers.conf"),
    }


def _make_images(program: str, busybox: str) -> None:
    """Two images of a static busybox alone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for name in ["cat", "echo", "env", "head", "id", "ls", "mkdir", "rm", "sh", "sleep", "tr", "true"]:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    changes = ["--change", f"ENTRYPOINT {json.dumps(ENTRYPOINT)}", "--change"]
    changes.append(f"CMD {json.dumps(DEFAULT_ARGUMENTS)}")
    for image, words in ((IMAGE, []), (ENTRYPOINT_IMAGE, changes)):
        command = [program, "import", *words, "-", image]
        subprocess.run(command, input=archive.getvalue(), capture_output=True, check=True, timeout=60)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text
