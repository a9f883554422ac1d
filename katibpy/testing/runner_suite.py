"""The conformance suite for runners: every promise of `katibpy.ports.TrialRunner`, each a plain function.

A subject makes trials that behave as told and can pretend that the program was killed::

    for check in CHECKS:
        with MySubject() as subject:
            check.run(subject)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from katibpy.api.conditions import compile_condition
from katibpy.api.trial import Trial
from katibpy.core.runs import RunPhase, RunState
from katibpy.ports import Key, TrialRunner

SUCCESS_CONDITION = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
FAILURE_CONDITION = 'status.conditions.#(type=="Failed")#|#(status=="True")#'
FAILING_EXIT_CODE = 3


class BrokenRunnerError(AssertionError):
    """A runner did not do what the contract says; the message says what was asked and what was seen."""


class Behaviour(StrEnum):
    """What a trial of the suite does."""

    SUCCEEDS = "succeeds"
    """Ends well, soon."""
    FAILS = "fails"
    """Ends with `FAILING_EXIT_CODE`, soon; not to be tried again."""
    LASTS = "lasts"
    """Goes on until it is told to end."""


class RunnerSubject(Protocol):
    """One kind of runner under test."""

    @property
    def runner(self) -> TrialRunner:
        """The runner as of now."""
        ...

    def trial(self, name: str, behaviour: Behaviour, *, uid: str = "") -> Trial:
        """A trial that behaves so; its uid is derived from the name when none is given."""
        ...

    def reopen(self) -> None:
        """Makes a new runner over the same world, as after the program of the old one was killed."""
        ...

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Lets things happen until the condition holds; False when it does not in reasonable time."""
        ...

    def starts_of(self, trial: Trial) -> int:
        """How often the trial's program really began."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One promise.

    Attributes:
        name: short name.
        promise: the promise in one sentence.
        run: raises BrokenRunnerError when it is broken.
    """

    name: str
    promise: str
    run: Callable[[RunnerSubject], None]


def _reach(subject: RunnerSubject, trial: Trial, phase: RunPhase) -> RunState:
    if not subject.wait_until(lambda: subject.runner.observe(trial).phase is phase):
        state = subject.runner.observe(trial)
        raise BrokenRunnerError(f"the run of {trial.metadata.name} must become {phase.value}, but is {state}")
    return subject.runner.observe(trial)


def _require(claim: bool, message: str) -> None:
    if not claim:
        raise BrokenRunnerError(message)


def _running(subject: RunnerSubject, name: str = "lasting") -> Trial:
    trial = subject.trial(name, Behaviour.LASTS)
    subject.runner.start(trial)
    _reach(subject, trial, RunPhase.RUNNING)
    started = subject.wait_until(lambda: subject.starts_of(trial) == 1)
    _require(started, f"{name} was started and must run once, it ran {subject.starts_of(trial)} times")
    return trial


def a_trial_that_was_never_started_is_absent(subject: RunnerSubject) -> None:
    """A trial that was never started is absent, and stopping or removing it changes nothing."""
    trial = subject.trial("idle", Behaviour.SUCCEEDS)
    for act in (subject.runner.observe, subject.runner.stop, subject.runner.remove):
        act(trial)
        state = subject.runner.observe(trial)
        _require(
            state.phase is RunPhase.ABSENT, f"a trial that was never started must be absent, got {state}"
        )
    subject.runner.start(trial)
    _reach(subject, trial, RunPhase.ENDED)


def a_successful_run_ends_complete(subject: RunnerSubject) -> None:
    """A run that ends well has exit code 0 and a job that satisfies Katib's success condition alone."""
    trial = subject.trial("good", Behaviour.SUCCEEDS)
    subject.runner.start(trial)
    state = _reach(subject, trial, RunPhase.ENDED)
    _require(state.exit_code == 0, f"exit code must be 0, got {state}")
    _require(_holds(SUCCESS_CONDITION, state), f"the job must be Complete, got {state.resource}")
    _require(not _holds(FAILURE_CONDITION, state), f"the job must not be Failed, got {state.resource}")
    times = (state.started_at, state.ended_at)
    _require(None not in times, f"start and end must be known, got {times}")
    _require(state.started_at <= state.ended_at, f"it must not end before it starts, got {times}")  # type: ignore[operator]


def a_failed_run_ends_failed(subject: RunnerSubject) -> None:
    """A run that fails has exit code, reason, message, and a job that satisfies the failure condition."""
    trial = subject.trial("bad", Behaviour.FAILS)
    subject.runner.start(trial)
    state = _reach(subject, trial, RunPhase.ENDED)
    _require(state.exit_code == FAILING_EXIT_CODE, f"exit code must be {FAILING_EXIT_CODE}, got {state}")
    _require(_holds(FAILURE_CONDITION, state), f"the job must be Failed, got {state.resource}")
    _require(not _holds(SUCCESS_CONDITION, state), f"the job must not be Complete, got {state.resource}")
    _require(bool(state.reason and state.message), f"reason and message must be given, got {state}")


def starting_twice_runs_once(subject: RunnerSubject) -> None:
    """A second start changes nothing, whether the run goes on or has ended."""
    trial = subject.trial("twice", Behaviour.SUCCEEDS)
    for _ in range(5):
        subject.runner.start(trial)
    ended = _reach(subject, trial, RunPhase.ENDED)
    subject.runner.start(trial)
    _require(subject.runner.observe(trial) == ended, "a start after the end must change nothing")
    _require(subject.starts_of(trial) == 1, f"it must run once, it ran {subject.starts_of(trial)} times")


def a_running_job_is_neither_complete_nor_failed(subject: RunnerSubject) -> None:
    """While a run goes on its job is active and satisfies no condition."""
    trial = _running(subject)
    state = subject.runner.observe(trial)
    _require(
        state.exit_code is None and state.ended_at is None, f"a run that goes on has no end, got {state}"
    )
    for condition in (SUCCESS_CONDITION, FAILURE_CONDITION):
        _require(
            not _holds(condition, state), f"{condition} must not hold while it runs, got {state.resource}"
        )
    subject.runner.stop(trial)
    _reach(subject, trial, RunPhase.ENDED)


def a_stopped_run_ends_as_stopped(subject: RunnerSubject) -> None:
    """A run that is stopped ends with the reason Stopped and stays ended; stopping again changes nothing."""
    trial = _running(subject)
    for _ in range(3):
        subject.runner.stop(trial)
    state = _reach(subject, trial, RunPhase.ENDED)
    _require(state.reason == "Stopped", f"the reason must be Stopped, got {state}")
    _require(not _holds(SUCCESS_CONDITION, state), f"a stopped job is not Complete, got {state.resource}")
    subject.runner.stop(trial)
    subject.runner.start(trial)
    _require(subject.runner.observe(trial) == state, "nothing may change after the end")
    _require(subject.starts_of(trial) == 1, "a stopped run must not begin again")


def stopping_while_it_starts_ends_it(subject: RunnerSubject) -> None:
    """A stop right behind the start ends the run, wherever it finds it."""
    trial = subject.trial("hasty", Behaviour.LASTS)
    subject.runner.start(trial)
    subject.runner.stop(trial)
    state = _reach(subject, trial, RunPhase.ENDED)
    _require(state.reason == "Stopped", f"the reason must be Stopped, got {state}")
    _require(subject.starts_of(trial) <= 1, "it must not begin more than once")


def namesakes_do_not_share_a_run(subject: RunnerSubject) -> None:
    """A trial of the same name and another uid has a run of its own."""
    first = subject.trial("same", Behaviour.SUCCEEDS, uid="uid-of-the-first")
    second = subject.trial("same", Behaviour.FAILS, uid="uid-of-the-second")
    subject.runner.start(first)
    _reach(subject, first, RunPhase.ENDED)
    state = subject.runner.observe(second)
    _require(state.phase is RunPhase.ABSENT, f"the namesake was never started, got {state}")
    subject.runner.start(second)
    state = _reach(subject, second, RunPhase.ENDED)
    _require(state.exit_code == FAILING_EXIT_CODE, f"the namesake fails, got {state}")
    _require(subject.runner.observe(first).exit_code == 0, "the first must stay as it ended")


def listeners_hear_of_the_end(subject: RunnerSubject) -> None:
    """Who listens is told the trial's key not before the run has ended, and without asking."""
    heard: list[tuple[Key, RunPhase]] = []
    trial = subject.trial("loud", Behaviour.SUCCEEDS)
    subject.runner.subscribe(lambda key: heard.append((key, subject.runner.observe(trial).phase)))
    subject.runner.start(trial)
    told = subject.wait_until(lambda: (trial.key, RunPhase.ENDED) in heard)
    _require(told, f"the listener must hear of the end of {trial.key}, it heard {heard}")


def runs_outlive_their_runner(subject: RunnerSubject) -> None:
    """When the program was killed, a new runner finds the run, can stop it, and does not start it again."""
    trial = _running(subject)
    subject.reopen()
    state = subject.runner.observe(trial)
    _require(state.phase is RunPhase.RUNNING, f"the new runner must find it running, got {state}")
    subject.runner.start(trial)
    subject.runner.stop(trial)
    state = _reach(subject, trial, RunPhase.ENDED)
    _require(state.reason == "Stopped", f"the reason must be Stopped, got {state}")
    _require(subject.starts_of(trial) == 1, f"it must run once, it ran {subject.starts_of(trial)} times")


def ends_outlive_their_runner(subject: RunnerSubject) -> None:
    """A new runner knows how earlier runs ended, and starts none of them again."""
    trials = [subject.trial("well", Behaviour.SUCCEEDS), subject.trial("ill", Behaviour.FAILS)]
    for trial in trials:
        subject.runner.start(trial)
    ends = [_reach(subject, trial, RunPhase.ENDED) for trial in trials]
    subject.reopen()
    for trial, end in zip(trials, ends, strict=True):
        subject.runner.start(trial)
        state = subject.runner.observe(trial)
        _require(state == end, f"the new runner must know {end}, it says {state}")
        _require(subject.starts_of(trial) == 1, f"it must run once, it ran {subject.starts_of(trial)} times")


def closing_withdraws_what_runs(subject: RunnerSubject) -> None:
    """Closing with stop_runs ends all runs; they are absent afterwards and can be started again."""
    trial = _running(subject)
    ended = subject.trial("over", Behaviour.SUCCEEDS)
    subject.runner.start(ended)
    end = _reach(subject, ended, RunPhase.ENDED)
    subject.runner.close(stop_runs=True)
    subject.reopen()
    state = subject.runner.observe(trial)
    _require(state.phase is RunPhase.ABSENT, f"a withdrawn run must be absent, got {state}")
    _require(subject.runner.observe(ended) == end, "a run that had ended must stay so")
    subject.runner.start(trial)
    _reach(subject, trial, RunPhase.RUNNING)
    again = subject.wait_until(lambda: subject.starts_of(trial) == 2)
    _require(again, f"it must begin again, it ran {subject.starts_of(trial)} times")
    subject.runner.stop(trial)
    _reach(subject, trial, RunPhase.ENDED)


def removing_is_safe_to_repeat(subject: RunnerSubject) -> None:
    """Removing an ended run twice is no error, and removing one that goes on does not end it."""
    trial = subject.trial("gone", Behaviour.SUCCEEDS)
    subject.runner.start(trial)
    _reach(subject, trial, RunPhase.ENDED)
    subject.runner.remove(trial)
    subject.runner.remove(trial)
    lasting = _running(subject)
    subject.runner.remove(lasting)
    state = subject.runner.observe(lasting)
    _require(state.phase is RunPhase.RUNNING, f"it must go on, got {state}")
    subject.runner.stop(lasting)
    _reach(subject, lasting, RunPhase.ENDED)


def _holds(condition: str, state: RunState) -> bool:
    return compile_condition(condition).evaluate(state.resource) is not None


def _check(run: Callable[[RunnerSubject], None]) -> Check:
    name = run.__name__.replace("_", "-")
    return Check(name, (run.__doc__ or name).strip().splitlines()[0], run)


CHECKS: Sequence[Check] = tuple(
    map(
        _check,
        (
            a_trial_that_was_never_started_is_absent,
            a_successful_run_ends_complete,
            a_failed_run_ends_failed,
            starting_twice_runs_once,
            a_running_job_is_neither_complete_nor_failed,
            a_stopped_run_ends_as_stopped,
            stopping_while_it_starts_ends_it,
            namesakes_do_not_share_a_run,
            listeners_hear_of_the_end,
            runs_outlive_their_runner,
            ends_outlive_their_runner,
            closing_withdraws_what_runs,
            removing_is_safe_to_repeat,
        ),
    )
)
