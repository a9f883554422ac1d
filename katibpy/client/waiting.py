"""Waits until an Experiment is as it should be, shows how it goes, and says why it cannot become so."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from katibpy.api.experiment import Experiment
from katibpy.api.status_conditions import find_condition, has_condition
from katibpy.client.output import failure_text
from katibpy.client.session import Session, say
from katibpy.core.phases import ExperimentPhase, experiment_phase
from katibpy.core.plan_experiment import is_restartable
from katibpy.display.displays import Display, LiveDisplay, PlainDisplay, QuietDisplay
from katibpy.display.failures import common_failure
from katibpy.display.follower import Follower
from katibpy.display.notebook import NotebookDisplay, is_notebook
from katibpy.display.values import counted
from katibpy.errors import ExperimentFailed, InputError, NotFound, UnexpectedEnd, WaitTimeout

CONDITIONS = tuple(phase.value for phase in ExperimentPhase)
_LONGEST_TICK_SECONDS = 0.25
_TAKE_UP_SECONDS = 1.0
_RUNNING_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is waited for.

    Attributes:
        namespace: of the Experiment.
        name: of the Experiment.
        condition: one of `CONDITIONS`.
        timeout_seconds: how long; None for as long as it takes.
        tick_seconds: how often progress is shown at least; the end is noticed at once.
    """

    namespace: str
    name: str
    condition: str
    timeout_seconds: float | None = None
    tick_seconds: float = _LONGEST_TICK_SECONDS

    def __post_init__(self) -> None:
        if self.condition not in CONDITIONS:
            raise InputError(
                f"expected_condition must be one of {', '.join(CONDITIONS)}, got {self.condition!r}"
            )


def display_for(progress: bool | None) -> Display:
    """Where progress is shown.

    Args:
        progress: None for terminals and notebooks, True for files and pipes too, False for nowhere.
    """
    if progress is False:
        return QuietDisplay(say)
    if is_notebook():
        return NotebookDisplay(say)
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        if not console.is_dumb_terminal:
            return LiveDisplay(console)
        return PlainDisplay(say)
    return PlainDisplay(say) if progress else QuietDisplay(say)


def wait_for(session: Session, wanted: Wanted, display: Display) -> Experiment:
    """Blocks until the condition is True; goes on with an Experiment that nobody runs.

    Raises:
        NotFound: there is no such Experiment, or it was deleted meanwhile.
        ExperimentFailed: it failed, with the traceback that most of its failed trials have in common.
        UnexpectedEnd: it ended otherwise.
        WaitTimeout: it took too long.
    """
    began = time.monotonic()
    experiment = _find(session, wanted)
    follower = None
    if type(display) is not QuietDisplay:
        limit = 0 if type(display) is PlainDisplay else _RUNNING_SHOWN
        follower = Follower(session.resources, session.observations, experiment, running_limit=limit)
    taken_up = -_TAKE_UP_SECONDS
    with display:
        while True:
            if follower is not None:
                display.show([follower.look()])
            experiment = _find(session, wanted, uid=experiment.metadata.uid)
            if _is_as_wanted(experiment, wanted):
                if follower is not None:
                    display.show([follower.look()])
                return experiment
            if _is_over(experiment):
                break
            elapsed = time.monotonic() - began
            if elapsed - taken_up >= _TAKE_UP_SECONDS:
                session.take_up(wanted.namespace, wanted.name)
                taken_up = elapsed
            left = _left(wanted, experiment, elapsed)
            session.wait_until(lambda: _is_reached(session, wanted), left)
    raise _unexpected_end(session, experiment, wanted)


def _find(session: Session, wanted: Wanted, *, uid: str | None = None) -> Experiment:
    experiment = session.resources.find(Experiment, wanted.namespace, wanted.name)
    if uid is not None and (experiment is None or experiment.metadata.uid != uid):
        raise NotFound(f"experiment {wanted.name!r} was deleted while it was waited for")
    if experiment is None:
        raise NotFound(f"there is no experiment {wanted.name!r} in namespace {wanted.namespace!r}")
    return experiment


def _is_reached(session: Session, wanted: Wanted) -> bool:
    experiment = session.resources.find(Experiment, wanted.namespace, wanted.name)
    return experiment is None or _is_as_wanted(experiment, wanted) or _is_over(experiment)


def _is_as_wanted(experiment: Experiment, wanted: Wanted) -> bool:
    is_end = ExperimentPhase(wanted.condition).is_finished
    has_come = has_condition(experiment.status.conditions, wanted.condition)
    return has_come and (not is_end or _is_over(experiment))


def _is_over(experiment: Experiment) -> bool:
    """Whether it has ended, and has not just been given more trials."""
    if not experiment_phase(experiment.status.conditions).is_finished:
        return False
    limit = experiment.spec.max_trial_count
    return not (is_restartable(experiment) and (limit is None or limit > experiment.status.trials))


def _left(wanted: Wanted, experiment: Experiment, elapsed: float) -> float:
    """How long to wait before the next look.

    Raises:
        WaitTimeout: no longer.
    """
    tick = min(max(wanted.tick_seconds, 0.01), _LONGEST_TICK_SECONDS)
    if wanted.timeout_seconds is None:
        return tick
    left = wanted.timeout_seconds - elapsed
    if left > 0:
        return min(tick, left)
    phase = experiment_phase(experiment.status.conditions)
    raise WaitTimeout(
        f"experiment {wanted.name!r} must be {wanted.condition} within {wanted.timeout_seconds:g} s, got "
        f"{phase} with {counted(experiment.status.trials, 'trial')}; wait longer, or look at what they do"
    )


def _unexpected_end(session: Session, experiment: Experiment, wanted: Wanted) -> UnexpectedEnd:
    phase = experiment_phase(experiment.status.conditions)
    ending = find_condition(experiment.status.conditions, phase.value)
    text = f"experiment {wanted.name!r}: {ending.message if ending else phase}"
    if phase is not ExperimentPhase.FAILED:
        return UnexpectedEnd(f"{text}; it will not be {wanted.condition} any more")
    failure = common_failure(session.resources, experiment)
    return ExperimentFailed(
        text if failure is None else f"{text}\n{failure_text(session, experiment, failure)}"
    )
