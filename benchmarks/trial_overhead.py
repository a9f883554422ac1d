"""What a trial costs beside the process it runs: no-op trials against a bare loop of subprocesses.

Everything is real: SQLite store, algorithm service, local runner, collector. The bare loop starts the same
command in as many threads, each with its output in a file. Both are measured in turn, several times, and
medians are printed, one JSON object a line:

    trial_overhead   wall time and CPU of a trial, and what of it is not the bare loop's
    start_up         from `katib run` to the start of the first trial, and `katib get` on what it left
    resident_memory  of controller and algorithm service after many trials (with --memory-trials)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import yaml

from katibpy.app.loading import collection_paused

# As `katib` loads what it runs.
with collection_paused():
    from katibpy.api.codec import load_documents
    from katibpy.app.admission import admit
    from katibpy.app.local import LocalEngine, local_checks
    from katibpy.core.phases import ExperimentPhase, experiment_phase

ALLOWED_EXTRA_MILLISECONDS = 15.0
ALLOWED_START_SECONDS = 1.0
ALLOWED_GET_SECONDS = 0.5
ALLOWED_CONTROLLER_MEGABYTES = 150.0
ALLOWED_SERVICE_MEGABYTES = 300.0
MEMORY_PARALLEL = 8
"""So many trials at once at least: an algorithm that reads a long history answers for several together."""
WARM_UP = 10
NO_OP = ("sh", "-c", "echo loss=$0")
KATIB = Path(sys.executable).with_name("katib")


def experiment(name: str, *, trials: int, parallel: int, algorithm: str, command: tuple[str, ...]) -> str:
    """An Experiment, as YAML, whose trials run the command with one number."""
    container = {"name": "main", "image": "none", "command": [*command, "${trialParameters.x}"]}
    spec = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": algorithm},
        "seed": 1,
        "parallelTrialCount": parallel,
        "maxTrialCount": trials,
        "maxFailedTrialCount": 1,
        "parameters": [
            {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0.0", "max": "1.0"}}
        ],
        "trialTemplate": {
            "primaryContainerName": "main",
            "trialParameters": [{"name": "x", "reference": "x"}],
            "trialSpec": {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            },
        },
    }
    head = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": name}}
    return yaml.safe_dump(head | {"spec": spec}, sort_keys=False)


def bare_loop(folder: Path, *, trials: int, parallel: int) -> float:
    """Seconds that the processes take on their own."""

    def run(number: int) -> None:
        directory = folder / str(number)
        directory.mkdir()
        with (directory / "output.log").open("wb") as log:
            command = [*NO_OP, str(number)]
            code = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).wait()
        if code:
            raise SystemExit(f"the command must succeed, got exit code {code}")

    before = time.perf_counter()
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(run, range(trials)))
    return time.perf_counter() - before


def service_of(pid: int) -> psutil.Process:
    """The algorithm service that a process started."""
    for child in psutil.Process(pid).children():
        if "katibpy.app.algorithm_service" in child.cmdline():
            return child
    raise SystemExit("there must be an algorithm service, got none")


def measure_trials(folder: Path, *, trials: int, parallel: int, algorithm: str) -> dict[str, float]:
    """Runs an Experiment in an engine of this process; seconds of each kind, resident memory at the end."""

    def run(engine: LocalEngine, name: str, count: int) -> None:
        text = experiment(name, trials=count, parallel=parallel, algorithm=algorithm, command=NO_OP)
        (admitted,) = admit(load_documents(text), checks=local_checks())
        engine.submit(admitted)
        engine.start()
        while not engine.wait(3600.0):
            pass
        ended = engine.resources.find(type(admitted.experiment), "default", name)
        if ended is None or experiment_phase(ended.status.conditions) is not ExperimentPhase.SUCCEEDED:
            raise SystemExit(f"the Experiment must succeed, got {ended and ended.status}")
        if ended.status.trials_succeeded != count:
            raise SystemExit(f"{count} trials must succeed, got {ended.status.trials_succeeded}")

    with LocalEngine(folder / "state", working_directory=folder) as engine:
        run(engine, "warm-up", WARM_UP)
        service = service_of(os.getpid())
        before = time.perf_counter(), time.process_time(), cpu_of(service)
        run(engine, "measured", trials)
        after = time.perf_counter(), time.process_time(), cpu_of(service)
        wall, controller, served = (end - start for start, end in zip(before, after, strict=True))
        return {
            "wall_seconds": wall,
            "controller_seconds": controller,
            "service_seconds": served,
            "controller_bytes": psutil.Process().memory_info().rss,
            "service_bytes": service.memory_info().rss,
        }


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU, in user and kernel mode."""
    times = process.cpu_times()
    return float(times.user + times.system)


def in_child(**arguments: object) -> dict[str, float]:
    """`measure_trials` in a process of its own, so that nothing of an earlier run is left."""
    command = [sys.executable, __file__, "--engine", json.dumps(arguments)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, folder], stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def trial_overhead(*, trials: int, parallel: int, algorithm: str, repeats: int) -> dict[str, Any]:
    """Medians of bare loop and engine, one after the other."""
    bare, ours = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            bare.append(bare_loop(Path(folder), trials=trials, parallel=parallel) / trials * 1000)
        ours.append(in_child(trials=trials, parallel=parallel, algorithm=algorithm))

    def milliseconds(kind: str) -> float:
        return statistics.median(each[kind] for each in ours) / trials * 1000

    extra = statistics.median(
        each["wall_seconds"] / trials * 1000 - alone for each, alone in zip(ours, bare, strict=True)
    )
    return {
        "benchmark": "trial_overhead",
        "algorithm": algorithm,
        "trials": trials,
        "parallel": parallel,
        "bare_milliseconds": round(statistics.median(bare), 2),
        "trial_milliseconds": round(milliseconds("wall_seconds"), 2),
        "extra_milliseconds": round(extra, 2),
        "controller_cpu_milliseconds": round(milliseconds("controller_seconds"), 2),
        "service_cpu_milliseconds": round(milliseconds("service_seconds"), 2),
        "is_met": extra <= ALLOWED_EXTRA_MILLISECONDS,
    }


def start_up(*, repeats: int) -> dict[str, Any]:
    """Medians of the times to the first trial's start, to the end of a run of one trial, and of a listing."""
    starts, runs, gets = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            # The file's time is when the trial ran, to the few milliseconds of the kernel's clock tick.
            command = ("sh", "-c", ": >began; echo loss=$0")
            text = experiment("start", trials=1, parallel=1, algorithm="random", command=command)
            (folder / "experiment.yaml").write_text(text, encoding="utf-8")
            began = time.time()
            runs.append(timed(folder, "run", "-q", "experiment.yaml"))
            starts.append((folder / "began").stat().st_mtime - began)
            gets.append(timed(folder, "get", "trials"))
    return {
        "benchmark": "start_up",
        "repeats": repeats,
        "first_trial_seconds": round(statistics.median(starts), 3),
        "run_of_one_trial_seconds": round(statistics.median(runs), 3),
        "get_seconds": round(statistics.median(gets), 3),
        "is_met": statistics.median(starts) <= ALLOWED_START_SECONDS
        and statistics.median(gets) <= ALLOWED_GET_SECONDS,
    }


def timed(folder: Path, *arguments: str) -> float:
    """Seconds that a command of `katib` takes; it must succeed."""
    before = time.perf_counter()
    subprocess.run([KATIB, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - before


def resident_memory(*, trials: int, parallel: int, algorithm: str) -> dict[str, Any]:
    """Resident memory when so many trials have ended."""
    result = in_child(trials=trials, parallel=parallel, algorithm=algorithm)
    controller, service = result["controller_bytes"] / 1e6, result["service_bytes"] / 1e6
    return {
        "benchmark": "resident_memory",
        "algorithm": algorithm,
        "trials": trials,
        "parallel": parallel,
        "seconds": round(result["wall_seconds"], 1),
        "controller_megabytes": round(controller, 1),
        "service_megabytes": round(service, 1),
        "is_met": controller <= ALLOWED_CONTROLLER_MEGABYTES and service <= ALLOWED_SERVICE_MEGABYTES,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="no-op trials of a run")
    parser.add_argument("--parallel", type=int, default=2, help="trials at once")
    parser.add_argument("--algorithm", default="random", help="who proposes")
    parser.add_argument("--repeats", type=int, default=5, help="runs; medians are printed")
    parser.add_argument(
        "--memory-trials", type=int, default=0, help="measure resident memory after so many, too"
    )
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure_trials(arguments.folder, **json.loads(arguments.engine))))
        return
    load = os.getloadavg()[0]
    parts: list[Callable[[], dict[str, Any]]] = [
        lambda: trial_overhead(
            trials=arguments.trials,
            parallel=arguments.parallel,
            algorithm=arguments.algorithm,
            repeats=arguments.repeats,
        ),
        lambda: start_up(repeats=arguments.repeats),
    ]
    if arguments.memory_trials:
        parts.append(
            lambda: resident_memory(
                trials=arguments.memory_trials,
                parallel=max(arguments.parallel, MEMORY_PARALLEL),
                algorithm=arguments.algorithm,
            )
        )
    for part in parts:
        print(json.dumps(part() | {"load_before": round(load, 2)}), flush=True)


if __name__ == "__main__":
    main()
