"""Experiments of all shapes that surely end, and jobs that do whatever jobs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from katibpy.api.experiment import Experiment
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.runners.simulated_world import Report, Script
from katibpy.testing import builders as build

FINITE = (build.integer("layers", 1, 3), build.categorical("optimizer", "sgd", "adam"))
ENDLESS = (build.double("lr", 0, 1),)

VALUES = ("0.1", "0.2", "0.5", "0.7", "0.9", "-3", "nan", "inf", "-inf", "1e400", "", "(conv, pool)", None)


@dataclass(frozen=True)
class Job:
    """What one trial does; `value` None never reports the objective."""

    value: str | None
    exit_code: int
    duration_seconds: float
    stop_seconds: float

    def script(self) -> Script:
        reports = [Report(self.duration_seconds / 2, "epoch", "1")]
        if self.value is not None:
            reports.append(Report(self.duration_seconds, "loss", self.value))
        return Script(self.duration_seconds, self.exit_code, tuple(reports), self.stop_seconds)


@dataclass(frozen=True)
class Shape:
    """An Experiment and the jobs that its trials do in turn."""

    spec: tuple[tuple[str, Any], ...]
    jobs: tuple[Job, ...]

    def experiment(self, name: str) -> Experiment:
        return build.experiment(name, **dict(self.spec))

    def job(self, trial: Trial) -> Job:
        return self.jobs[(trial.spec.number or 0) % len(self.jobs)]

    @property
    def is_finite(self) -> bool:
        return bool(dict(self.spec)["parameters"] == FINITE)


def experiment_name(trial: Trial) -> str:
    return trial.metadata.labels[EXPERIMENT_LABEL]


def jobs() -> st.SearchStrategy[tuple[Job, ...]]:
    job = st.builds(
        Job,
        value=st.sampled_from(VALUES),
        exit_code=st.sampled_from((0, 0, 0, 0, 1)),
        duration_seconds=st.sampled_from((0.2, 1.0, 7.0, 100.0)),
        stop_seconds=st.sampled_from((0.0, 0.0, 3.0)),
    )
    return st.lists(job, min_size=1, max_size=4).map(tuple)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    algorithm = draw(st.sampled_from(("random", "grid", "sobol")))
    is_finite = algorithm == "grid" or draw(st.booleans())
    most = draw(st.integers(1, 8))
    spec: dict[str, Any] = {
        "algorithm": build.algorithm(algorithm),
        "parameters": FINITE if is_finite else ENDLESS,
        # Without a maximum only a finite space comes to an end.
        "max_trial_count": draw(st.none() | st.just(most)) if is_finite else most,
        "parallel_trial_count": draw(st.integers(1, min(most, 4))),
        "max_failed_trial_count": draw(st.sampled_from((None, None, most, 0, 1))),
        "objective": build.minimize(goal=draw(st.sampled_from((None, None, -1.0, 0.3)))),
        "resume_policy": draw(st.sampled_from(("Never", "LongRunning", "FromVolume"))),
        "seed": draw(st.integers(0, 3)),
    }
    return Shape(tuple(spec.items()), draw(jobs()))
