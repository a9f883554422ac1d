"""Settings of the tree-structured Parzen estimator."""

from __future__ import annotations

from dataclasses import dataclass

from katibpy.algo.settings import setting


@dataclass(frozen=True, slots=True)
class TpeSettings:
    """By Optuna's names, and by hyperopt's where they mean the same."""

    n_startup_trials: int = setting(10, minimum=0, help="finished trials before the model is used")
    n_ei_candidates: int = setting(
        24, minimum=1, aliases=("n_EI_candidates",), help="draws from which the best is proposed"
    )
    gamma: float | None = setting(
        None,
        above=0,
        below=1,
        help="of n trials the best gamma * sqrt(n) count as good; None: the best tenth; both at most 25",
    )
    prior_weight: float = setting(1.0, above=0, help="weight of the user's distribution in the model")
    multivariate: bool = setting(True, help="model the parameters together rather than one by one")
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")
