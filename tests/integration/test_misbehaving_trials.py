"""Trials that misbehave, through `katib run`: how they end, what is told, and that nothing is left."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from katibpy.api.codec import load_documents
from katibpy.api.experiment import Experiment
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.app.admission import admit
from katibpy.app.local import LocalEngine
from katibpy.app.state import State
from katibpy.core.phases import TrialPhase, trial_phase
from katibpy.runners.attempt import Attempt
from katibpy.runners.stragglers import ATTEMPT_VARIABLE
from katibpy.stores.state_directory import lock_holder
from tests.integration.cli_process import CommandLine
from tests.unit.cli.documents import experiment_text

PYTHON = sys.executable
SHOWS_PROCESSES = Path("/proc/self/environ").exists()

FORKS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleeper)
subprocess.Popen(sleeper, start_new_session=True)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)
print("loss=" + os.environ["X"])
"""
DEAF = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
try:
    os.mkdir("first")
except FileExistsError:
    time.sleep(0.5)
    print("loss=0.01")
else:
    print("loss=0.5")
    time.sleep(600)
"""
WRITES = """
import sys
block = ("x" * 127 + "\\n") * 8192
for step in range(int(sys.argv[1])):
    sys.stdout.write(block)
    if step % 10 == 0:
        sys.stdout.write(f"loss={step + 1}\\n")
"""
NOISE = """
import os, sys
for _ in range(64):
    os.write(1, os.urandom(16384))
os.write(1, b"\\n\\x1b[2J\\x1b]0;title\\x07loss=0.5\\n\\xff\\xfe\\x00 the end\\n")
sys.exit(int(sys.argv[1]))
"""
OWN_DIRECTORY = f'"$(dirname "${ATTEMPT_VARIABLE}")"'


@dataclass(frozen=True, slots=True)
class Case:
    """A way to misbehave.

    Attributes:
        command: what the trials run with `/bin/sh -c`.
        phases: what they come to.
        said: what `katib describe` says of the first of them.
        explained: what `katib explain` says of the experiment.
        options: further arguments of the experiment.
        argv: the command in place of the shell.
    """

    command: str
    phases: tuple[TrialPhase, ...]
    said: str
    explained: str
    maximum: int = 1
    goal: float | None = None
    argv: str = ""


def program(name: str, *words: str) -> str:
    """A line of shell that runs one of the programs."""
    return " ".join([f"exec {PYTHON} -u ../{name}.py", *words])


PROGRAMS = {"forks": FORKS, "deaf": DEAF, "writes": WRITES, "noise": NOISE}

GOOD, BAD = TrialPhase.SUCCEEDED, TrialPhase.FAILED
LOST, KILLED = TrialPhase.METRICS_UNAVAILABLE, TrialPhase.KILLED

CASES = {
    "forks": Case(program("forks"), (GOOD,), "Trial has succeeded", "it ran 1 trial"),
    "deaf": Case(
        program("deaf"),
        (KILLED, GOOD),
        "the Experiment has ended",
        "it reached its goal",
        maximum=2,
        goal=0.05,
    ),
    "stops": Case(
        "if mkdir once; then kill -STOP $$$$; else echo loss=0.01; fi",
        (KILLED, GOOD),
        "the Experiment has ended",
        "it reached its goal",
        maximum=2,
        goal=0.05,
    ),
    "mute": Case(
        f"exec {PYTHON} -c 'import os, time; os.close(1); os.close(2); time.sleep(0.1); os._exit(0)'",
        (LOST,),
        "the objective 'loss' never appeared",
        "the trial printed nothing",
    ),
    "mute-and-fails": Case(
        "exec >&- 2>&-; exit 5", (BAD,), "exit code 5", "failed: the process ended with exit code 5"
    ),
    "vandal": Case(
        f"echo loss=$X; sleep 1; rm -rf {OWN_DIRECTORY}; echo bye",
        (GOOD,),
        "Trial has succeeded",
        "it ran 1 trial",
    ),
    "vandal-and-fails": Case(
        f"rm -rf {OWN_DIRECTORY}; exit 6",
        (BAD,),
        "was removed while it ran, and its output with it",
        "failed: the process ended with exit code 6",
    ),
    "blink": Case("exit 0", (LOST,), "the objective 'loss' never appeared", "the trial printed nothing"),
    "blink-and-fails": Case("exit 7", (BAD,), "exit code 7", "failed: the process ended with exit code 7"),
    "lost": Case(
        "",
        (BAD,),
        "'trian.py' was not found in any directory of PATH",
        "name a program that this machine has",
        argv="[trian.py, --x=1]",
    ),
    "suicide": Case("kill -KILL 0", (BAD,), "SIGKILL", "dmesg"),
    "polite-suicide": Case("kill -TERM 0; sleep 600", (BAD,), "SIGTERM", "SIGTERM"),
    "noise": Case(program("noise", "0"), (GOOD,), "Trial has succeeded", "it ran 1 trial"),
    "noise-and-fails": Case(program("noise", "3"), (BAD,), "exit code 3", "the end"),
}


def document(name: str, case: Case) -> str:
    text = experiment_text(
        name, command=case.command, parallel=case.maximum, maximum=case.maximum, max_failed=case.maximum
    )
    text = text.replace(
        "restartPolicy: Never", "restartPolicy: Never\n            terminationGracePeriodSeconds: 1"
    )
    if case.goal is not None:
        text = text.replace("type: minimize", f"type: minimize\n    goal: {case.goal}")
    if case.argv:
        text = re.sub(r"command: .*\n +args:\n.*\n(?: +\n|.*\n)*?(?= +env:)", f"command: {case.argv}\n", text)
    # A directory of its own: what a trial leaves there tells the other what to do.
    return text.replace("image: none", f"image: none\n{' ' * 16}workingDir: work-{name}")


def prepare(folder: Path, names: Iterable[str]) -> None:
    """Makes the programs, and a directory for the trials of each case."""
    for name, code in PROGRAMS.items():
        (folder / f"{name}.py").write_text(code)
    for name in names:
        (folder / f"work-{name}").mkdir()


def marked_processes(state_dir: Path) -> list[int]:
    """Processes that have the mark of an attempt in this state directory."""
    if not SHOWS_PROCESSES:
        return []
    mark = f"{ATTEMPT_VARIABLE}={state_dir}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if any(variable.startswith(mark) for variable in environment.split(b"\0")):
                found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def nothing_is_left(state_dir: Path) -> None:
    eventually(lambda: marked_processes(state_dir) == [])
    attempts = [Attempt(path.parent) for path in state_dir.rglob("lock")]
    assert not any(attempt.is_held() for attempt in attempts)
    assert lock_holder(state_dir) is None
    graves = [path.name for path in state_dir.rglob(".*.removed")]
    assert graves == []


def trials_of(state: State, name: str) -> list[Trial]:
    listed = state.resources.list(Trial, labels={EXPERIMENT_LABEL: name}).items
    return sorted(listed, key=lambda trial: trial_phase(trial.status.conditions))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """All cases, in one run."""
    katib = CommandLine(tmp_path_factory.mktemp("misbehaving"))
    prepare(katib.folder, CASES)
    text = "---\n".join(document(name, case) for name, case in CASES.items())
    (katib.folder / "all.yaml").write_text(text)
    ended = katib("run", "all.yaml", "-q")
    assert ended.code == 1, ended
    assert ended.stderr == ""
    return katib


def test_nothing_is_left_of_any(ran: CommandLine) -> None:
    nothing_is_left(ran.folder / ".katib")


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_the_right_phase_and_says_what_to_do(ran: CommandLine, name: str) -> None:
    case = CASES[name]
    with ran.state() as state:
        trials = trials_of(state, name)
        assert tuple(trial_phase(trial.status.conditions) for trial in trials) == tuple(sorted(case.phases))
        (first,) = [each for each in trials if trial_phase(each.status.conditions) is case.phases[0]]
    described = ran.ask("describe", "trial", first.metadata.name)
    assert described.code == 0
    assert case.said in described.stdout
    explained = ran.ask("explain", name)
    assert explained.code == 0
    assert case.explained in explained.stdout
    of_trial = ran.ask("explain", "trial", first.metadata.name)
    assert of_trial.code == 0
    for text in (described.stdout, explained.stdout, of_trial.stdout):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_noise_is_printed_as_it_came(ran: CommandLine) -> None:
    with ran.state() as state:
        (trial,) = trials_of(state, "noise")
        content = state.log_path(trial).read_bytes()
    assert len(content) > 1 << 20
    with ran.start("logs", trial.metadata.name) as running:
        assert running.process.stdout is not None
        assert running.process.stdout.buffer.read() == content  # type: ignore[attr-defined]


def test_two_hundred_megabytes_take_little_of_the_disk(tmp_path: Path) -> None:
    written(tmp_path, megabytes=200, limit_megabytes=8)


@pytest.mark.soak
def test_a_gigabyte_takes_little_of_the_disk(tmp_path: Path) -> None:
    written(tmp_path, megabytes=1024, limit_megabytes=64)


def written(folder: Path, *, megabytes: int, limit_megabytes: int) -> None:
    katib = CommandLine(folder)
    prepare(folder, ())
    text = experiment_text(
        command=f"exec {PYTHON} -u writes.py {megabytes}", parallel=1, maximum=1, max_failed=1
    ).replace("type: minimize", "type: maximize")
    (katib.folder / "tune.yaml").write_text(text)
    with katib.start("run", "tune.yaml", "-q", "--log-limit", f"{limit_megabytes}Mi") as running:
        most = 0
        while running.process.poll() is None:
            most = max(most, resident_kilobytes(running.process.pid))
            time.sleep(0.05)
        ended = running.end()
    assert ended.code == 0, ended
    with katib.state() as state:
        (trial,) = trials_of(state, "tune")
        path = state.log_path(trial)
        values = state.observations.read(trial.metadata.uid or "")
    assert [each.text for each in values] == [str(step + 1) for step in range(0, megabytes, 10)]
    assert path.stat().st_size <= (limit_megabytes << 20) + 100
    assert path.read_bytes().count(b"of output dropped here]\n") == 1
    assert most < 150_000
    nothing_is_left(katib.folder / ".katib")


def resident_kilobytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) if found else 0


def test_the_program_itself_keeps_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    names = ("forks", "mute", "vandal-and-fails", "blink", "lost", "suicide")
    prepare(tmp_path, names)
    text = "---\n".join(document(name, CASES[name]) for name in names)
    before, threads = len(os.listdir("/dev/fd")), threading.active_count()
    for number in range(2):
        with LocalEngine(tmp_path / f"state-{number}", working_directory=tmp_path) as engine:
            for admitted in admit(load_documents(text)):
                engine.submit(admitted)
            engine.start()
            assert engine.wait(40)
            for name in names:
                found = engine.resources.find(Experiment, "default", name)
                assert found is not None
        nothing_is_left(tmp_path / f"state-{number}")
    eventually(lambda: threading.active_count() == threads)
    # gRPC keeps some of its own once it has been used.
    again = len(os.listdir("/dev/fd"))
    with LocalEngine(tmp_path / "state-2", working_directory=tmp_path) as engine:
        for admitted in admit(load_documents(text)):
            engine.submit(admitted)
        engine.start()
        assert engine.wait(40)
    assert len(os.listdir("/dev/fd")) <= again
    assert again - before < 10
