"""A search algorithm of one file: it looks near the best trials so far, ever more closely."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import Entry, History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings, setting
from katibpy.algo.space import Space, Value

_PATIENCE = 200
_SHRINKS_BY = 0.96


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may write under `algorithmSettings`. Types and bounds are checked before any trial runs."""

    step: float = setting(0.3, above=0, maximum=1, help="width of the first steps, as a share of each range")
    parents: int = setting(3, minimum=1, help="how many of the best trials are looked around")


class AroundTheBest(Algorithm):
    """Takes one of the best trials and moves every parameter a little; the steps shrink with each trial.

    It keeps nothing: all that it knows comes with the call, so it may be restarted between any two calls.
    """

    name = "around-the-best"
    summary = "small steps around the best trials so far"
    Settings = Settings
    learns = True

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Proposes up to `count` assignments that nobody has tried yet, pending trials included."""
        settings, space = parse_settings(Settings, problem.settings), problem.space
        parents = _best(history, space)[: settings.parents]
        width = settings.step * _SHRINKS_BY**history.total
        known = {space.key(entry.assignment) for entry in history if len(entry.assignment) == len(space)}
        proposals: list[Proposal] = []
        for _ in range(count):
            candidates = _candidates(space, parents, width, rng)
            fresh = next((each for each in candidates if space.key(each) not in known), None)
            if fresh is None:
                break
            known.add(space.key(fresh))
            proposals.append(Proposal(space.format_assignment(fresh)))
        is_over = space.cardinality is not None and len(known) >= space.cardinality
        return Reply(tuple(proposals), exhausted=is_over)


def _best(history: History, space: Space) -> list[Entry]:
    """Trials with a usable loss, the best first; losses are always minimised."""
    usable = [
        entry
        for entry in history
        if entry.loss is not None and math.isfinite(entry.loss) and len(entry.assignment) == len(space)
    ]
    return sorted(usable, key=lambda entry: (entry.loss, entry.number))


def _candidates(
    space: Space, parents: Sequence[Entry], width: float, rng: np.random.Generator
) -> Iterator[dict[str, Value]]:
    """Points near the parents, drawn ones while there are none; at last whatever a finite space has."""
    for _ in range(_PATIENCE):
        if not parents:
            yield space.from_unit_cube(rng.random(len(space)).tolist())
            continue
        parent = parents[int(rng.integers(len(parents)))]
        units = space.to_unit_cube(parent.assignment)
        moved = np.asarray(units) + rng.normal(0.0, width, len(space))
        # Reflected at the ends, so that the borders are not tried over and over.
        moved = 1.0 - np.abs(1.0 - np.abs(moved) % 2.0)
        yield space.from_unit_cube(np.clip(moved, 0.0, np.nextafter(1.0, 0.0)).tolist())
    for index in range(space.cardinality or 0):
        yield space.at(index)
