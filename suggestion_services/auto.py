"""The algorithm that picks an algorithm."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from katibpy.algo.algorithm import Algorithm, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import setting
from suggestion_services.auto_choice import PICKS, Choice, choose


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """There is nothing to set but the seed."""

    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class Auto(Algorithm):
    """Picks one of the other algorithms by the number and types of the parameters, and by the trials planned.

    The choice follows from the Experiment alone, is made with the first proposal and kept from then on,
    also when the number of trials is changed later. What was picked and why stands in the Suggestion's
    status. Spaces that will be tried out whole get `sobol`; up to some hundred trials `gp`, or
    `bayesianoptimization` where PyTorch is not installed; more trials `cmaes` when all parameters are
    numbers, else `tpe`. It has no settings to pass on: who wants some names the algorithm.
    """

    name = "auto"
    summary = "picks one of the others by parameters and number of trials; used when none is named"
    Settings = AutoSettings
    learns = True

    def __init__(self) -> None:
        self._picked: dict[str, Algorithm] = {}

    def validate(self, problem: Problem) -> tuple[str, ...]:
        """Architectures are not searched."""
        if problem.nas is None:
            return ()
        return ("algorithm auto searches parameters, got spec.nasConfig; use enas or darts",)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Passes the request on to the picked algorithm."""
        kept, inner = _read(memory)
        choice = choose(problem, kept=kept)
        if choice.name != kept:
            inner = None
        posed = dataclasses.replace(problem, settings=dict(choice.settings))
        reply = self._algorithm(choice).suggest(posed, history, count=count, memory=inner, rng=rng)
        written = None
        if reply.memory is not None or choice.name != kept:
            written = _written(choice.name, reply.memory)
        return dataclasses.replace(reply, memory=written, note=f"{choice.name}: {choice.reason}")

    def _algorithm(self, choice: Choice) -> Algorithm:
        # Two threads may make it twice; it holds nothing that matters.
        if choice.name not in self._picked:
            module, _, attribute = PICKS[choice.name].partition(":")
            self._picked[choice.name] = getattr(import_module(module), attribute)()
        return self._picked[choice.name]


def _written(name: str, memory: bytes | None) -> bytes:
    return json.dumps({"picked": name}).encode() + b"\n" + (memory or b"")


def _read(memory: bytes | None) -> tuple[str | None, bytes | None]:
    """Who was picked, and the memory of that algorithm; None where nothing can be read."""
    first, _, rest = (memory or b"").partition(b"\n")
    try:
        head: Any = json.loads(first)
    except ValueError:
        return None, None
    name = head.get("picked") if isinstance(head, dict) else None
    return (name, rest or None) if name in PICKS else (None, None)
