"""How long a TPE request takes over gRPC, next to Optuna's own `ask` on the same history.

The service is a real child process on a Unix socket. Before each pair of measurements one more finished
trial joins both histories, as in a running Experiment. Prints one JSON object for each history size.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.ports import SuggestionCall, SuggestionGateway
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.testing import builders as build

BATCHES = (16, 32, 64, 128)
PARAMETERS = (
    build.double("lr", 1e-5, 0.1, distribution="logUniform"),
    build.double("momentum", 0, 1),
    build.integer("layers", 1, 10),
    build.discrete("batch", *BATCHES),
    build.categorical("optimizer", "sgd", "adam", "ftrl"),
)
DISTRIBUTIONS = {
    "lr": FloatDistribution(1e-5, 0.1, log=True),
    "momentum": FloatDistribution(0, 1),
    "layers": IntDistribution(1, 10),
    "batch": IntDistribution(0, len(BATCHES) - 1),  # listed numbers have an order
    "optimizer": CategoricalDistribution(("sgd", "adam", "ftrl")),
}
ALLOWED_RATIO = 1.3
ALLOWED_EXTRA_MILLISECONDS = 10.0
TIMEOUT_SECONDS = 120.0


@dataclass
class GrowingHistory:
    """A history to which finished trials are added; tells what is new since a token."""

    records: list[TrialRecord] = field(default_factory=list)

    def add(self, parameters: dict[str, object], loss: float) -> None:
        """One more finished trial."""
        number = len(self.records)
        texts = parameters | {"batch": BATCHES[int(str(parameters["batch"]))]}
        self.records.append(
            TrialRecord(
                name=f"trial-{number}",
                uid=f"uid-{number}",
                number=number,
                assignments=tuple(NameValue(name=name, value=str(value)) for name, value in texts.items()),
                labels={},
                phase=TrialPhase.SUCCEEDED,
                metrics=(NameValue(name="loss", value=str(loss)),),
                start_time=build.moment(number),
                completion_time=build.moment(number + 1),
            )
        )

    def read(self, since: str | None) -> HistoryDelta:
        """What a store would say."""
        base = 0 if since is None else int(since)
        size = len(self.records)
        return HistoryDelta(token=str(size), base=since, records=tuple(self.records[base:]), size=size)


@contextmanager
def served() -> Iterator[SuggestionGateway]:
    """A gateway to a real algorithm service."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ChildProcessLauncher(Path(folder))
        gateway = GrpcSuggestionGateway(launcher)
        try:
            yield gateway
        finally:
            gateway.close()
            launcher.close()


def drawn(rng: np.random.Generator) -> tuple[dict[str, object], float]:
    """A random assignment in Optuna's terms, and a loss that depends on it."""
    lr, momentum = float(10 ** rng.uniform(-5, -1)), float(rng.uniform())
    layers, batch = int(rng.integers(1, 11)), int(rng.integers(len(BATCHES)))
    optimizer = ("sgd", "adam", "ftrl")[int(rng.integers(3))]
    loss = (np.log10(lr) + 3) ** 2 + (momentum - 0.9) ** 2 + abs(layers - 4) / 10 + rng.normal(0, 0.1)
    names = {"lr": lr, "momentum": momentum, "layers": layers, "batch": batch, "optimizer": optimizer}
    return names, float(loss)


def optuna_study() -> optuna.Study:
    """An Optuna study with the sampler and settings that our service uses."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=10, n_ei_candidates=24, multivariate=True, constant_liar=True, seed=1
    )
    return optuna.create_study(sampler=sampler)


def measure(gateway: SuggestionGateway, experiment: Experiment, *, trials: int, repeats: int) -> None:
    """Prints the medians at one history size."""
    rng = np.random.default_rng(trials)
    history, study = GrowingHistory(), optuna_study()

    def add() -> None:
        parameters, loss = drawn(rng)
        history.add(parameters, loss)
        study.add_trial(optuna.trial.create_trial(params=parameters, distributions=DISTRIBUTIONS, value=loss))

    def over_grpc() -> float:
        call = SuggestionCall(
            experiment=experiment,
            history=history,
            count=1,
            total=len(history.records) + 1,
            memory=None,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        before = time.perf_counter()
        reply = gateway.suggest(call)
        seconds = time.perf_counter() - before
        if len(reply.proposals) != 1:
            raise SystemExit(f"one proposal was asked for, got {reply}")
        return seconds

    def by_optuna() -> float:
        before = time.perf_counter()
        asked = study.ask(DISTRIBUTIONS)
        seconds = time.perf_counter() - before
        study.tell(asked, state=optuna.trial.TrialState.FAIL)  # it shall not pend for the next one
        return seconds

    for _ in range(trials):
        add()
    first = over_grpc()
    by_optuna()
    ours: list[float] = []
    theirs: list[float] = []
    gc.collect()
    for turn in range(repeats + 3):
        add()
        pair = (over_grpc(), by_optuna()) if turn % 2 else (by_optuna(), over_grpc())[::-1]
        if turn >= 3:
            ours.append(pair[0] * 1000)
            theirs.append(pair[1] * 1000)
    mine, other = statistics.median(ours), statistics.median(theirs)
    line = {
        "benchmark": "suggest_latency",
        "algorithm": "tpe",
        "trials": trials,
        "repeats": repeats,
        "first_request_milliseconds": round(first * 1000, 2),
        "request_milliseconds": round(mine, 2),
        "optuna_ask_milliseconds": round(other, 2),
        "ratio": round(mine / other, 3),
        "allowed_milliseconds": round(ALLOWED_RATIO * other + ALLOWED_EXTRA_MILLISECONDS, 2),
        "is_met": mine <= ALLOWED_RATIO * other + ALLOWED_EXTRA_MILLISECONDS,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000], help="history sizes")
    parser.add_argument("--repeats", type=int, default=30, help="measurements for each size")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with served() as gateway:
        for trials in arguments.trials:
            experiment = build.as_stored(
                build.experiment(
                    f"latency-{trials}", algorithm=build.algorithm("tpe"), parameters=PARAMETERS, seed=1
                )
            )
            gateway.validate(experiment, timeout_seconds=TIMEOUT_SECONDS)
            measure(gateway, experiment, trials=trials, repeats=arguments.repeats)


if __name__ == "__main__":
    main()
