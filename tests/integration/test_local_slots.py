"""Trials with GPUs, cpus and memory of their own: real processes, devices in name only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from katibpy.api.trial import Trial
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.cgroups import MemoryGroups
from katibpy.runners.local import LocalRunner
from katibpy.runners.memory_limits import MemoryLimits
from katibpy.runners.slot_table import SlotTable
from tests.integration import slot_trials
from tests.integration.slot_trials import make_slots, make_trial

LASTING = ["/bin/sh", "-c", "echo up; while :; do sleep 1; done"]
HUNGRY = "x = bytearray(200 * 2**20); print('full', flush=True); import time; time.sleep(60)"


def eventually(condition: Callable[[], bool], said: str = "it never came true") -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.005)


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.table = directory / "slots"
        self.runners: list[LocalRunner] = []

    def runner(
        self, name: str = "runs", *, devices: int = 4, memory: MemoryLimits | None = None
    ) -> LocalRunner:
        made = LocalRunner(
            self.directory / name,
            clock=SystemClock(),
            stop_grace_seconds=0.2,
            slots=make_slots(self.table, devices=devices),
            memory=memory,
        )
        self.runners.append(made)
        return made

    def reach(self, runner: LocalRunner, trial: Trial, phase: RunPhase) -> RunState:
        name = trial.metadata.name
        eventually(
            lambda: runner.observe(trial).phase is phase,
            f"{name} never became {phase}: {runner.observe(trial)}",
        )
        return runner.observe(trial)

    def run(self, runner: LocalRunner, trial: Trial) -> RunState:
        runner.start(trial)
        return self.reach(runner, trial, RunPhase.ENDED)

    def waits(self, runner: LocalRunner, trial: Trial, reason: str) -> str:
        runner.start(trial)
        eventually(lambda: runner.observe(trial).reason == reason, f"{runner.observe(trial)}")
        assert runner.observe(trial).phase is RunPhase.WAITING
        return runner.observe(trial).message

    def claims(self) -> list[str]:
        with SlotTable(self.table).locked() as locked:
            return [claim.trial for claim in locked.claims()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for runner in made.runners:
        runner.close(stop_runs=True)
    if made.table.exists():
        eventually(lambda: made.claims() == [], "claims outlive their trials")


def variables(runner: LocalRunner, trial: Trial) -> dict[str, str]:
    lines = runner.outputs(trial).stdout.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


# GPUs.


def test_a_trial_sees_the_devices_it_got_and_no_others(bench: Bench) -> None:
    runner = bench.runner()
    trial = make_trial("two", ["env"], limits={"nvidia.com/gpu": 2})
    assert bench.run(runner, trial).reason == "Completed"
    assert variables(runner, trial)["CUDA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"


def test_a_trial_that_asks_for_none_sees_none_unless_it_says_so_itself(bench: Bench) -> None:
    runner = bench.runner()
    plain, own = make_trial("plain", ["env"]), make_trial("own", ["env"], env={"CUDA_VISIBLE_DEVICES": "0"})
    for trial, seen in ((plain, ""), (own, "0")):
        assert bench.run(runner, trial).reason == "Completed"
        assert variables(runner, trial)["CUDA_VISIBLE_DEVICES"] == seen
    assert not bench.table.exists(), "who asks for nothing must cost nothing"


def test_two_halves_share_a_device_and_a_whole_one_waits(bench: Bench) -> None:
    runner = bench.runner(devices=1)
    halves = [make_trial(name, LASTING, share="0.5") for name in ("one", "other")]
    for half in halves:
        runner.start(half)
        bench.reach(runner, half, RunPhase.RUNNING)
    whole = make_trial("whole", ["env"], limits={"nvidia.com/gpu": 1})
    message = bench.waits(runner, whole, "WaitsForGPU")
    assert message == "it needs 1 GPU: 0 of 1 free; held by trials one (0.5 of one), other (0.5 of one)"
    for half in halves:
        runner.stop(half)
    assert bench.reach(runner, whole, RunPhase.ENDED).reason == "Completed"
    assert variables(runner, whole)["CUDA_VISIBLE_DEVICES"] == "GPU-0"


def test_a_trial_can_be_stopped_while_it_waits(bench: Bench) -> None:
    runner = bench.runner(devices=1)
    holder, waiting = (make_trial(name, LASTING, limits={"nvidia.com/gpu": 1}) for name in ("a", "b"))
    runner.start(holder)
    bench.reach(runner, holder, RunPhase.RUNNING)
    bench.waits(runner, waiting, "WaitsForGPU")
    runner.stop(waiting)
    state = bench.reach(runner, waiting, RunPhase.ENDED)
    assert (state.reason, state.message) == ("Stopped", "it was stopped before its process was started")
    assert bench.claims() == ["a"]


def test_runs_that_wait_are_withdrawn_when_the_runner_closes(bench: Bench) -> None:
    runner = bench.runner(devices=1)
    for name in ("a", "b"):
        runner.start(make_trial(name, LASTING, limits={"nvidia.com/gpu": 1}))
    eventually(lambda: bench.claims() == ["a", "b"])
    runner.close(stop_runs=True)
    eventually(lambda: bench.claims() == [])
    again = bench.runner(devices=1)
    assert again.observe(make_trial("b", LASTING)).phase is RunPhase.ABSENT


def test_a_trial_that_is_tried_again_keeps_its_device(bench: Bench) -> None:
    runner = bench.runner(devices=1)
    script = 'echo "$CUDA_VISIBLE_DEVICES" >>"$0"; test "$(wc -l <"$0")" -ge 3'
    tries = bench.directory / "tries"
    stubborn = make_trial(
        "stubborn", ["/bin/sh", "-c", script, str(tries)], limits={"nvidia.com/gpu": 1}, backoff_limit=5
    )
    rival = make_trial(
        "rival", ["/bin/sh", "-c", 'echo rival >>"$0"', str(tries)], limits={"nvidia.com/gpu": 1}
    )
    runner.start(stubborn)
    eventually(tries.exists)
    runner.start(rival)
    assert bench.reach(runner, stubborn, RunPhase.ENDED).reason == "Completed"
    bench.reach(runner, rival, RunPhase.ENDED)
    assert tries.read_text().split() == ["GPU-0"] * 3 + ["rival"]


def test_a_request_beyond_the_machine_ends_the_run_with_both_numbers(bench: Bench) -> None:
    state = bench.run(bench.runner(devices=1), make_trial("greedy", ["env"], limits={"nvidia.com/gpu": 2}))
    assert state.reason == "StartFailed"
    assert "must be at most 1, all GPUs there are, got 2" in state.message


# Programs that die.


def start_program(bench: Bench, seed: str, count: int) -> subprocess.Popen[bytes]:
    log = bench.directory / "log"
    script = str(Path(slot_trials.__file__))
    runs = bench.directory / f"runs-{seed}"
    return subprocess.Popen([sys.executable, script, str(bench.table), str(runs), str(log), seed, str(count)])


HOLDER = """
import sys, time
from pathlib import Path
from katibpy.app.clock import SystemClock
from katibpy.runners.local import LocalRunner
from tests.integration.slot_trials import make_slots, make_trial
runner = LocalRunner(Path(sys.argv[2]), clock=SystemClock(), slots=make_slots(Path(sys.argv[1]), devices=1))
runner.start(make_trial("held", ["/bin/sh", "-c", "while ! [ -e $0 ]; do sleep 0.05; done", sys.argv[3]],
                        limits={"nvidia.com/gpu": 1}))
runner.start(make_trial("queued", ["true"], limits={"nvidia.com/gpu": 1}))
time.sleep(60)
"""


def test_a_device_stays_taken_when_the_program_is_killed_and_its_trial_lives(bench: Bench) -> None:
    flag, runs = bench.directory / "flag", bench.directory / "killed-runs"
    command = [sys.executable, "-c", HOLDER, str(bench.table), str(runs), str(flag)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as program:
        eventually(lambda: bench.table.exists() and bench.claims() == ["held", "queued"])
        eventually(lambda: any(runs.rglob("attempt-1/pid")))
        program.send_signal(signal.SIGKILL)
    eventually(lambda: bench.claims() == ["held"], "what only the dead program held must be free")
    other = bench.runner("other", devices=1)
    rival = make_trial("rival", ["true"], limits={"nvidia.com/gpu": 1})
    message = bench.waits(other, rival, "WaitsForGPU")
    assert message == f"it needs 1 GPU: 0 of 1 free; held by trial held (katib with pid {program.pid})"
    # A new program takes the trial over; the device is still the trial's.
    heir = bench.runner("killed-runs", devices=1)
    held = make_trial("held", ["true"])
    assert heir.observe(held).phase is RunPhase.RUNNING
    assert bench.claims() == ["held", "rival"]
    flag.touch()
    assert bench.reach(heir, held, RunPhase.ENDED).reason == "Completed"
    assert bench.reach(other, rival, RunPhase.ENDED).reason == "Completed"


def test_real_trials_of_two_programs_never_share_a_whole_device(bench: Bench) -> None:
    bench.directory.joinpath("log").touch()
    programs = [start_program(bench, seed, 30) for seed in ("1", "2")]
    try:
        assert [program.wait(timeout=50) for program in programs] == [0, 0]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    lines = [line.split() for line in bench.directory.joinpath("log").read_text().splitlines()]
    assert Counter(line[0] for line in lines) == {"start": 60, "end": 60}
    used: Counter[str] = Counter()
    for event, who, devices in lines:
        asked = float(who.partition("/")[2])
        share = round(min(asked, 1.0) * 1000)
        assert len(devices.split(",")) == max(1, int(asked))
        for device in devices.split(","):
            used[device] += share if event == "start" else -share
            assert used[device] <= 1000, f"{device} was over-committed by {who}"


# Cpus.


def test_no_more_cpus_are_used_than_there_are(bench: Bench) -> None:
    runner = bench.runner()
    log = bench.directory / "log"
    script = 'echo start >>"$0"; sleep 0.05; echo end >>"$0"'
    trials = [
        make_trial(f"t{number}", ["/bin/sh", "-c", script, str(log)], limits={"cpu": "1500m"})
        for number in range(8)
    ]
    for trial in trials:
        runner.start(trial)
    for trial in trials:
        assert bench.reach(runner, trial, RunPhase.ENDED).reason == "Completed"
    running = most = 0
    for line in log.read_text().split():
        running += 1 if line == "start" else -1
        most = max(most, running)
    assert most == 2, "two of them fill four cpus"


def test_threads_follow_the_cpu_limit_unless_the_trial_says_otherwise(bench: Bench) -> None:
    runner = bench.runner()
    trial = make_trial("t", ["env"], limits={"cpu": "1500m"}, env={"MKL_NUM_THREADS": "7"})
    bench.run(runner, trial)
    seen = variables(runner, trial)
    assert (seen["OMP_NUM_THREADS"], seen["OPENBLAS_NUM_THREADS"], seen["MKL_NUM_THREADS"]) == ("2", "2", "7")


# Memory.


def test_a_trial_with_too_much_memory_is_killed_and_told_the_numbers(bench: Bench) -> None:
    trial = make_trial("hungry", [sys.executable, "-c", HUNGRY], limits={"memory": "100Mi"}, backoff_limit=3)
    state = bench.run(bench.runner(memory=MemoryLimits(None)), trial)
    assert state.reason == "OutOfMemory", state
    assert "of memory, more than its limit of 100Mi, and was killed" in state.message
    (condition,) = state.resource["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Failed", "OutOfMemory")
    assert state.resource["status"]["failed"] == 1, "another attempt would need as much"


def test_memory_of_grandchildren_counts(bench: Bench) -> None:
    script = '"$0" -c "$1" & wait'
    trial = make_trial(
        "parent", ["/bin/sh", "-c", script, sys.executable, HUNGRY], limits={"memory": "100Mi"}
    )
    assert bench.run(bench.runner(), trial).reason == "OutOfMemory"


def test_a_trial_within_its_memory_is_left_alone(bench: Bench) -> None:
    trial = make_trial(
        "modest", [sys.executable, "-c", "import time; time.sleep(0.6)"], limits={"memory": "1Gi"}
    )
    assert bench.run(bench.runner(), trial).reason == "Completed"


def test_a_found_trial_is_kept_to_its_memory_too(bench: Bench) -> None:
    flag = bench.directory / "flag"
    code = f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.02)\n{HUNGRY}"
    trial = make_trial("late", [sys.executable, "-c", code], limits={"memory": "100Mi"})
    first = bench.runner()
    first.start(trial)
    bench.reach(first, trial, RunPhase.RUNNING)
    first.close(stop_runs=False)
    second = bench.runner()
    assert second.observe(trial).phase is RunPhase.RUNNING
    flag.touch()
    assert bench.reach(second, trial, RunPhase.ENDED).reason == "OutOfMemory"


def test_a_kill_by_the_kernel_is_told_as_out_of_memory(bench: Bench) -> None:
    # A directory stands for a control group: the trial enters it, and says what the kernel would say there.
    groups = bench.directory / "group"
    groups.mkdir()
    # Doubled twice: once is what Kubernetes makes of it.
    script = 'until [ -s "$0/killed" ]; do sleep 0.02; done; kill -KILL $$$$'
    trial = make_trial("group", ["/bin/sh", "-c", script, str(groups)], limits={"memory": "64Mi"})
    runner = bench.runner(memory=MemoryLimits(MemoryGroups(groups)))
    runner.start(trial)
    eventually(lambda: any(groups.glob("katibpy-*/cgroup.procs")))
    (group,) = groups.glob("katibpy-*")
    assert (group / "memory.max").read_text() == str(64 * 2**20)
    entered = int((group / "cgroup.procs").read_text())
    os.kill(entered, 0)
    (group / "memory.events").write_text("oom 1\noom_kill 1\n")
    (group / "memory.peak").write_text(f"{64 * 2**20}\n")
    (groups / "killed").write_text("now")
    state = bench.reach(runner, trial, RunPhase.ENDED)
    assert state.reason == "OutOfMemory"
    assert state.exit_code == 137
    assert state.message == (
        "it needed more than its memory limit of 64Mi (it had 64Mi), and the kernel killed it; raise "
        "resources.limits.memory"
    )
