"""Tree-structured Parzen estimator whose model always spans all parameters."""

from __future__ import annotations

from dataclasses import dataclass

from katibpy.algo.problem import Problem
from katibpy.algo.settings import parse_settings, setting
from suggestion_services.tpe import Tpe
from suggestion_services.tpe_settings import TpeSettings


@dataclass(frozen=True, slots=True)
class MultivariateTpeSettings:
    """Those of Katib's algorithm of this name."""

    n_startup_trials: int = setting(10, minimum=0, help="finished trials before the model is used")
    n_ei_candidates: int = setting(
        24, minimum=1, aliases=("n_EI_candidates",), help="draws from which the best is proposed"
    )
    random_state: int | None = setting(None, minimum=0, help="seed; the Experiment's own when not given")


class MultivariateTpe(Tpe):
    """`tpe` with one joint density over all parameters (Falkner et al., 2018), which cannot be turned off.

    With equal settings it proposes what `tpe` proposes while that has `multivariate` on, its default.
    """

    name = "multivariate-tpe"
    summary = "tpe that always models the parameters together, by Katib's name for it"
    Settings = MultivariateTpeSettings

    def sampler_settings(self, problem: Problem) -> TpeSettings:
        """The joint model, with what the user set."""
        written = parse_settings(MultivariateTpeSettings, problem.settings)
        return TpeSettings(
            n_startup_trials=written.n_startup_trials,
            n_ei_candidates=written.n_ei_candidates,
            multivariate=True,
        )
