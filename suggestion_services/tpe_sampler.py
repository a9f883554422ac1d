"""Optuna's TPE sampler, told what we know beforehand: the whole space, and what was proposed before."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from suggestion_services.optuna_space import OptunaSpace
from suggestion_services.tpe_settings import TpeSettings

_MOST_GOOD_TRIALS = 25


class HistorySampler(TPESampler):
    """A sampler for one request.

    Args:
        space: the whole space, so that the sampler need not infer it from thousands of trials.
        settings: as the user wrote them.
        seed: of all its draws.
        is_seen: whether the assignment that Optuna's parameters stand for was proposed before; None when
            that cannot happen.
    """

    def __init__(
        self,
        space: OptunaSpace,
        settings: TpeSettings,
        *,
        seed: int,
        is_seen: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        super().__init__(
            n_startup_trials=settings.n_startup_trials,
            n_ei_candidates=settings.n_ei_candidates,
            multivariate=settings.multivariate,
            constant_liar=True,
            seed=seed,
        )
        # As arguments these two warn that they will go in Optuna 6; a test notices when they do.
        if settings.gamma is not None:
            self._gamma = good_trials(settings.gamma)
        if settings.prior_weight is not None:
            self._parzen_estimator_parameters = self._parzen_estimator_parameters._replace(
                prior_weight=settings.prior_weight
            )
        self._known_space = space
        self._is_joint = settings.multivariate
        self._is_seen = is_seen

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter that has more than one value, or none when each is modelled alone."""
        if not self._is_joint:
            return {}
        return {
            name: distribution
            for name, distribution in self._known_space.distributions.items()
            if not distribution.single()
        }

    def _compute_acquisition_func(
        self, samples: dict[str, np.ndarray], mpe_below: Any, mpe_above: Any
    ) -> np.ndarray:
        # Not public, but all that depends on it is how good a repeat's replacement is: without this the
        # best draw may be a repeat, which the caller then replaces by a neighbour.
        values = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        if self._is_seen is None or not self._is_joint:
            return values
        distributions = self._known_space.distributions
        for place in range(len(values)):
            parameters = {
                name: distributions[name].to_external_repr(column[place].item())
                for name, column in samples.items()
            }
            if self._is_seen(parameters):
                values[place] = -math.inf
        return values


def good_trials(gamma: float) -> Callable[[int], int]:
    """How many of n trials count as good, as hyperopt does: ceil(gamma * sqrt(n)), at most 25."""
    return lambda count: min(math.ceil(gamma * math.sqrt(count)), _MOST_GOOD_TRIALS)
