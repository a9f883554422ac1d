"""Tree-structured Parzen estimator."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings
from katibpy.algo.space import Value
from suggestion_services.finite import nearby, seen_keys, walk
from suggestion_services.tpe_settings import TpeSettings

if TYPE_CHECKING:
    from suggestion_services.optuna_study import TrialCache

_SEEDS = 1 << 32


class Tpe(Algorithm):
    """Tree-structured Parzen estimator (Bergstra et al., 2011), by Optuna's sampler.

    Densities of the good and of the other trials are fitted; the proposal is, of some draws from the first,
    the one with the highest ratio of the two. By default one density spans all parameters (Falkner et al.,
    2018). Pending trials count among the others (constant liar), and so does each proposal of a batch for
    the next. Of a finite space only what is new is proposed.
    """

    name = "tpe"
    summary = "model-based; a good default from 20 trials on, for any kinds of parameter"
    Settings: ClassVar[type[Any]] = TpeSettings
    learns = True

    def __init__(self) -> None:
        self._cache: TrialCache | None = None

    def sampler_settings(self, problem: Problem) -> TpeSettings:
        """What the sampler is told, from the settings that the user wrote."""
        return parse_settings(TpeSettings, problem.settings)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        """Asks Optuna's sampler once for each proposal."""
        # Optuna takes a quarter of a second to import, which listing the algorithms need not pay.
        from suggestion_services.optuna_space import OptunaSpace
        from suggestion_services.optuna_study import TrialCache, study_of
        from suggestion_services.tpe_sampler import HistorySampler

        cache = self._cache = self._cache or TrialCache()
        space = problem.space
        translated = OptunaSpace.of(space)
        seen = set() if space.cardinality is None else seen_keys(space, history)

        def is_seen(parameters: dict[str, Any]) -> bool:
            return space.key(translated.from_optuna({**constants, **parameters})) in seen

        constants = translated.constants
        sampler = HistorySampler(
            translated,
            self.sampler_settings(problem),
            seed=int(rng.integers(_SEEDS)),
            is_seen=None if space.cardinality is None else is_seen,
        )
        study = study_of(cache.trials(problem, history, translated), sampler)

        def draw() -> dict[str, Value]:
            stop_if_cancelled()
            return translated.from_optuna(study.ask(translated.distributions).params)

        if space.cardinality is None:
            assignments = [draw() for _ in range(count)]
        else:
            assignments = _new_ones(problem, draw, seen, count=count, rng=rng)
        texts = [space.format_assignment(assignment) for assignment in assignments]
        exhausted = space.cardinality is not None and len(seen) >= space.cardinality
        return Reply(tuple(Proposal(text) for text in texts), exhausted=exhausted)


def _new_ones(
    problem: Problem,
    draw: Callable[[], dict[str, Value]],
    seen: set[tuple[Value, ...]],
    *,
    count: int,
    rng: np.random.Generator,
) -> list[dict[str, Value]]:
    """Up to `count` assignments that are not in `seen`, which they join.

    A repeat is replaced by a neighbour, and when those are all known, by whatever is left.
    """
    space = problem.space
    found: list[dict[str, Value]] = []
    while len(found) < count and len(seen) < (space.cardinality or 0):
        drawn = draw()
        candidates = chain((drawn,), nearby(space, drawn, rng), walk(space, seed=problem.seed, start=0))
        fresh = next((each for each in candidates if space.key(each) not in seen), None)
        if fresh is None:
            break
        seen.add(tuple(fresh.values()))
        found.append(fresh)
    return found
