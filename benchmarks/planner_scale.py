"""How many trials a second the controller carries through, and whether that stays so for long Experiments.

Everything but the jobs and the clock is real: memory stores, planners, random search called in process.
Trials take different times, so that they end one by one, the hardest case: every end is a reconciliation of
the Experiment, a request to the algorithm and a new trial. Prints one JSON object for each size.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import logging
import pstats
import statistics
import time
from dataclasses import dataclass

from katibpy.app.loading import collection_paused

# As the processes of katib load what they run.
with collection_paused():
    from katibpy.api.experiment import Experiment
    from katibpy.api.trial import Trial
    from katibpy.controller.adapters import Adapters
    from katibpy.controller.loop import Controller
    from katibpy.core.phases import ExperimentPhase, experiment_phase
    from katibpy.launchers.in_process import DirectGateway
    from katibpy.runners.simulated import SimulatedCollector, SimulatedRunner
    from katibpy.runners.simulated_world import Script, SimulatedWorld, script_of
    from katibpy.stores.memory_observations import MemoryObservationStore
    from katibpy.stores.memory_resources import MemoryResourceStore
    from katibpy.testing import builders as build

SMALL = 1_000
WARM_UP = 300
REQUIRED_TRIALS_PER_SECOND = 1_000
ALLOWED_RATIO = 1.3
PARAMETERS = (
    build.double("lr", 1e-5, 0.1, distribution="logUniform"),
    build.double("momentum", 0, 1),
    build.integer("layers", 1, 10),
)


def behaviour(trial: Trial) -> Script:
    """A job that prints its loss once.

    It takes 60 to 120 ms, so that with 100 at once about as many end in a virtual second as the controller
    can carry through in a real one: what happens at intervals then happens as often as it would.
    """
    number = trial.spec.number or 0
    loss = abs(float(trial.spec.parameter_assignments[1].value) - 0.9)
    return script_of({"loss": loss}, duration_seconds=0.06 + (number * 7919) % 60_013 / 1e6)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run took.

    Attributes:
        seconds: of the one thread's processor time, which other programs disturb less.
        wall_seconds: of real time; the same on an idle machine.
    """

    seconds: float
    wall_seconds: float


def run(trials: int, *, parallel: int) -> Taken:
    """Carries one Experiment through."""
    world = SimulatedWorld(behaviour)
    store = MemoryResourceStore(world.clock)
    observations = MemoryObservationStore()
    adapters = Adapters(
        store=store,
        observations=observations,
        runner=SimulatedRunner(world),
        collector=SimulatedCollector(world, observations),
        gateway=DirectGateway(),
        clock=world.clock,
    )
    controller = Controller(adapters, workers=0)
    experiment = store.create(
        build.experiment(
            "scale", parameters=PARAMETERS, max_trial_count=trials, parallel_trial_count=parallel, seed=1
        )
    )
    gc.collect()
    before = time.process_time(), time.perf_counter()
    controller.queue.add(experiment.key)
    while controller.step() or world.advance():
        pass
    taken = Taken(time.process_time() - before[0], time.perf_counter() - before[1])
    ended = store.find(Experiment, experiment.metadata.namespace, experiment.metadata.name)
    if ended is None or ended.status.trials_succeeded != trials:
        raise SystemExit(f"{trials} trials must succeed, got {ended and ended.status}")
    if experiment_phase(ended.status.conditions) is not ExperimentPhase.SUCCEEDED:
        raise SystemExit(f"the Experiment must succeed, got {ended.status.conditions}")
    return taken


def measure(sizes: list[int], *, parallel: int, repeats: int) -> dict[int, list[Taken]]:
    """Runs of every size, small ones around each large one, so that all meet the same load."""
    taken: dict[int, list[Taken]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            if size == SMALL:
                continue
            taken[SMALL] += [run(SMALL, parallel=parallel) for _ in range(2)]
            taken[size].append(run(size, parallel=parallel))
            taken[SMALL] += [run(SMALL, parallel=parallel) for _ in range(2)]
    return taken


def line_for(size: int, taken: dict[int, list[Taken]], *, parallel: int) -> dict[str, object]:
    """The medians of one size."""
    per_trial = {each: statistics.median(run.seconds for run in runs) / each for each, runs in taken.items()}
    rate = 1 / per_trial[size]
    ratio = per_trial[size] / per_trial[SMALL]
    return {
        "benchmark": "planner_scale",
        "trials": size,
        "parallel": parallel,
        "runs": len(taken[size]),
        "seconds": round(per_trial[size] * size, 3),
        "wall_seconds": round(statistics.median(run.wall_seconds for run in taken[size]), 3),
        "trials_per_second": round(rate),
        "microseconds_per_trial": round(per_trial[size] * 1e6, 1),
        "ratio_to_1k": round(ratio, 3),
        "is_met": rate >= REQUIRED_TRIALS_PER_SECOND and ratio <= ALLOWED_RATIO,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[100_000], help="sizes beside 1,000")
    parser.add_argument("--parallel", type=int, default=100, help="trials at once")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each size; medians are printed")
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    run(WARM_UP, parallel=arguments.parallel)
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(run, arguments.trials[0], parallel=arguments.parallel)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    sizes = sorted({SMALL, *arguments.trials})
    taken = measure(sizes, parallel=arguments.parallel, repeats=arguments.repeats)
    for size in sizes:
        print(json.dumps(line_for(size, taken, parallel=arguments.parallel)), flush=True)


if __name__ == "__main__":
    main()
