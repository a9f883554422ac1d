"""How long a request for proposals takes over gRPC, next to the same library called directly.

The service is a real child process on a Unix socket. Service and library take turns on the same history, so
that what else the machine does meets both alike. Prints one JSON object for each algorithm and history size.
To measure one more algorithm, add a row to `ROWS`.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any

import optuna
from latency.landscapes import DOUBLES, FINITE, MIXED, Landscape, Terrain
from latency.peers import Peer, PeerKind, by_optuna, by_optuna_alone, by_scikit_optimize
from latency.runs import Run, served

from katibpy.algo.space import space_of
from katibpy.api.experiment import Experiment
from katibpy.catalog import ALGORITHMS, load, names
from katibpy.ports import SuggestionGateway
from katibpy.testing import builders as build

_NUMBERS = count()
"""Of Experiments: who has once been asked about one keeps what it knows by its uid."""
_WARMING = 3
_SPARE_TRIALS = 1_000
"""Of the Experiment, beyond those of the history: none of the algorithms shall come to its end."""
_MOST_THREE_OVER_ONE = 2.0


class Past(Enum):
    """Where the trials of the history come from."""

    DRAWN = "drawn"
    """At random; what is proposed joins them."""
    ANEW = "drawn anew"
    """At random, others for every measurement: the history never grows beyond its size."""
    PLAYED = "played"
    """Proposed by the algorithm itself, so that they carry its labels and it has its memory."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a request may cost.

    Attributes:
        ratio: as many times what the peer takes, or the wire where there is none.
        extra_milliseconds: on top.
    """

    ratio: float
    extra_milliseconds: float

    def allows(self, base_milliseconds: float) -> float:
        """Milliseconds."""
        return self.ratio * base_milliseconds + self.extra_milliseconds


OVER_OPTUNA = Limit(1.3, 10.0)
OVER_SCIKIT_OPTIMIZE = Limit(1.1, 0.0)
OVER_WIRE = Limit(1.0, 10.0)
WITHOUT_PEER = Limit(1.0, 50.0)


@dataclass(frozen=True, slots=True)
class Row:
    """What to measure of one algorithm.

    Attributes:
        algorithm: its name in the catalogue.
        trials: history sizes.
        landscape: what is searched; parameters that the algorithm's example settings name are added.
        past: where the history comes from.
        batch: trials that begin together while a history is played.
        peer: the library beside it, None when there is none.
        limit: for one proposal.
        settings: beyond the algorithm's example settings.
        wants_three: three proposals are measured too, and limited to twice one.
    """

    algorithm: str
    trials: tuple[int, ...] = (100, 1_000)
    landscape: Landscape = MIXED
    past: Past = Past.PLAYED
    batch: int = 50
    peer: PeerKind | None = None
    limit: Limit = WITHOUT_PEER
    settings: Mapping[str, str] = field(default_factory=dict)
    wants_three: bool = False


def _tpe() -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(
        n_startup_trials=10, n_ei_candidates=24, multivariate=True, constant_liar=True, seed=1
    )


def _cmaes() -> optuna.samplers.BaseSampler:
    return optuna.samplers.CmaEsSampler(warn_independent_sampling=False, seed=1)


def _gp() -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=1)


ROWS = (
    Row("random", (10_000,), batch=500, limit=OVER_WIRE),
    Row("random", (10_000,), FINITE, batch=500, limit=OVER_WIRE),
    Row("grid", (10_000,), FINITE, batch=500, limit=OVER_WIRE),
    Row("sobol", (10_000,), batch=500, limit=OVER_WIRE),
    Row("sobol", (10_000,), FINITE, batch=500, limit=OVER_WIRE),
    Row("tpe", (100, 1_000, 10_000), past=Past.DRAWN, peer=by_optuna(_tpe), limit=OVER_OPTUNA),
    Row("multivariate-tpe", (100, 1_000, 10_000), past=Past.DRAWN, peer=by_optuna(_tpe), limit=OVER_OPTUNA),
    Row("cmaes", (100, 1_000, 10_000), DOUBLES, peer=by_optuna_alone(_cmaes), limit=OVER_OPTUNA),
    Row(
        "gp",
        (100, 1_000),
        past=Past.DRAWN,
        peer=by_optuna(_gp),
        limit=OVER_OPTUNA,
        settings={"n_candidates": "512", "n_local_search": "4"},
    ),
    *(
        Row(
            "bayesianoptimization",
            (20, 50),
            DOUBLES,
            past=Past.ANEW,
            peer=by_scikit_optimize(**settings),
            limit=OVER_SCIKIT_OPTIMIZE,
            settings=settings,
            wants_three=True,
        )
        for settings in ({}, {"base_estimator": "ET"})
    ),
)
"""Algorithms that are not here are measured without a peer, by the defaults of `Row`."""


class Measurement:
    """One row at one history size."""

    def __init__(self, gateway: SuggestionGateway, row: Row, trials: int) -> None:
        self._gateway, self._row, self._trials = gateway, row, trials
        described = load(ALGORITHMS, row.algorithm)
        self._parameters = (*row.landscape.parameters, *described.example_parameters)
        self._settings = {**described.example_settings, **row.settings}

    def line(self, repeats: int) -> dict[str, Any]:
        """Measures, and gives what to print."""
        ones, threes, peers, wires, first = self._seconds(repeats)
        one = _milliseconds(ones)
        allowed = self._row.limit.allows(_milliseconds(peers or wires))
        line: dict[str, Any] = {
            "benchmark": "suggest_latency",
            "algorithm": self._row.algorithm,
            "settings": dict(self._row.settings),
            "space": self._row.landscape.name,
            "trials": self._trials,
            "repeats": repeats,
            "wire_milliseconds": round(_milliseconds(wires), 2),
            "first_request_milliseconds": round(first * 1000, 2),
            "request_milliseconds": round(one, 2),
            "allowed_milliseconds": round(allowed, 2),
            "is_met": one <= allowed,
        }
        if peers:
            line["library_milliseconds"] = round(_milliseconds(peers), 2)
            line["ratio"] = round(one / _milliseconds(peers), 3)
        if threes:
            line["three_milliseconds"] = round(_milliseconds(threes), 2)
            line["three_over_one"] = round(_milliseconds(threes) / one, 3)
            line["is_met"] = line["is_met"] and line["three_over_one"] <= _MOST_THREE_OVER_ONE
        return line

    def _seconds(self, repeats: int) -> tuple[list[float], list[float], list[float], list[float], float]:
        """Seconds of one proposal, of three, of the library, of the wire, and of a first request."""
        run, peer, terrain = self._filled(seed=self._trials)
        first = run.restarted(self._experiment()).ask(1)[0]
        ones: list[float] = []
        threes: list[float] = []
        peers: list[float] = []
        wires: list[float] = []
        gc.collect()
        for turn in range(repeats + _WARMING):
            if self._row.past is Past.ANEW:
                run, peer, terrain = self._filled(seed=10_000 * turn + self._trials)
            wires.append(run.wire())  # a service that did not know the Experiment does now
            if peer is not None and turn % 2:
                peers.append(peer.ask())
            seconds, reply = run.ask(1)
            ones.append(seconds)
            if len(reply.proposals) != 1:
                raise SystemExit(f"{self._row.algorithm}: one proposal was asked for, got {reply}")
            if peer is not None and not turn % 2:
                peers.append(peer.ask())
            if self._row.wants_three:
                # What the service knows from the request for one shall not help.
                threes.append(run.restarted(self._known()).ask(3)[0])
            run.take_over(reply)
            if peer is not None:
                last = run.history.records[-1]
                texts = {each.name: each.value for each in last.assignments}
                peer.add(terrain.space.parse_assignment(texts), float(last.metrics[0].value))
        return ones[_WARMING:], threes[_WARMING:], peers[_WARMING:], wires[_WARMING:], first

    def _filled(self, *, seed: int) -> tuple[Run, Peer | None, Terrain]:
        terrain = Terrain(space_of(self._parameters), seed)
        run = Run(self._gateway, self._experiment(), terrain)
        peer = None if self._row.peer is None else self._row.peer(terrain)
        while len(run.history.records) < self._trials:
            if self._row.past is Past.PLAYED:
                left = self._trials - len(run.history.records)
                if not run.play(min(self._row.batch, left)):
                    raise SystemExit(
                        f"{self._row.algorithm}: no proposal at {len(run.history.records)} trials"
                    )
            else:
                assignment = terrain.drawn()
                run.add(assignment, terrain.loss(assignment))
        if peer is not None:
            for record in run.history.records:
                texts = {each.name: each.value for each in record.assignments}
                peer.add(terrain.space.parse_assignment(texts), float(record.metrics[0].value))
            peer.ready()
        return run, peer, terrain

    def _experiment(self) -> Experiment:
        """One that the service has not seen."""
        built = build.experiment(
            f"latency-{next(_NUMBERS)}",
            algorithm=build.algorithm(self._row.algorithm, **self._settings),
            parameters=self._parameters,
            parallel_trial_count=self._row.batch,
            max_trial_count=2 * self._trials + _SPARE_TRIALS,
            seed=1,
        )
        return build.as_stored(built)

    def _known(self) -> Experiment:
        """One that the service has been asked about, but not for proposals."""
        experiment = self._experiment()
        self._gateway.validate(experiment, timeout_seconds=60.0)
        return experiment


def _milliseconds(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def _rows(wanted: list[str] | None) -> Iterator[Row]:
    known = names(ALGORITHMS)
    unknown = set(wanted or ()) - set(known)
    if unknown:
        raise SystemExit(f"no algorithm {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in wanted or known:
        yield from [row for row in ROWS if row.algorithm == name] or [Row(name)]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithms", nargs="+", help="names; all of the catalogue unless given")
    parser.add_argument("--trials", type=int, nargs="+", help="history sizes, instead of each row's own")
    parser.add_argument("--repeats", type=int, default=20, help="measurements for each size")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with served() as gateway:
        for row in _rows(arguments.algorithms):
            for trials in arguments.trials or row.trials:
                print(json.dumps(Measurement(gateway, row, trials).line(arguments.repeats)), flush=True)


if __name__ == "__main__":
    main()
