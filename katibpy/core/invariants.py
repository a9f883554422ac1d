"""What always holds: checks over everything that is stored of one Experiment.

Simulations and long-running tests call them after every step. Each check counts anew from the Trials
themselves, so that what is kept incrementally elsewhere is held against something simple.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition
from katibpy.api.status_conditions import has_condition
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.core.phases import (
    ACTIVE_PHASES,
    FINISHED_PHASES,
    ExperimentPhase,
    TrialPhase,
    experiment_phase,
    trial_phase,
)
from katibpy.core.plan_experiment import DEFAULT_PARALLEL, is_restartable
from katibpy.core.records import NAME_LIMIT, BestTrial, StoredProposal, Tally, rank_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is stored of one Experiment at one moment.

    Attributes:
        experiment: the resource.
        suggestion: its Suggestion, if there is one.
        trials: all its Trials.
        proposals: all its proposals without a Trial.
        tally: what the store says of its Trials.
    """

    experiment: Experiment
    suggestion: Suggestion | None
    trials: tuple[Trial, ...]
    proposals: tuple[StoredProposal, ...]
    tally: Tally


def broken_rules(
    now: Snapshot, before: Snapshot | None = None, *, is_settled: bool = False
) -> tuple[str, ...]:
    """Every rule that the snapshot breaks, each as a sentence; () when all is well.

    Args:
        now: what is stored.
        before: an earlier snapshot of the same Experiment, for rules about what may change. Limits may
            have been edited in between, but to no more than the greater of the two.
        is_settled: the controller has nothing to do but wait; then statuses have caught up as well.
    """
    rules = [_tally(now), _names_and_numbers(now), _experiment(now), *map(_trial, now.trials)]
    rules.append(_limits(now, before))
    if before is not None:
        rules.append(_changes(before, now))
    if is_settled:
        rules += [_counters(now), _balance(now)]
    return tuple(sentence for rule in rules for sentence in rule)


def recount(trials: Iterable[Trial]) -> Tally:
    """The tally of these Trials, counted one by one."""
    by_phase: dict[TrialPhase, list[Trial]] = {}
    for trial in trials:
        by_phase.setdefault(_phase(trial), []).append(trial)
    best = _best(by_phase.get(TrialPhase.SUCCEEDED, ())) or _best(by_phase.get(TrialPhase.EARLY_STOPPED, ()))
    return Tally(
        counts={phase: len(found) for phase, found in by_phase.items()},
        best=best,
        newest={
            phase: tuple(trial.metadata.name for trial in sorted(found, key=_number)[-NAME_LIMIT:])
            for phase, found in by_phase.items()
            if not phase.is_active
        },
    )


def _best(trials: Iterable[Trial]) -> BestTrial | None:
    ranked = [(rank, _number(trial), trial) for trial in trials if (rank := rank_of(trial)) is not None]
    if not ranked:
        return None
    loss, number, trial = min(ranked, key=lambda entry: entry[:2])
    observation = trial.status.observation
    assert observation is not None  # or it would have no rank
    return BestTrial(trial.metadata.name, number, loss, trial.spec.parameter_assignments, observation)


def _tally(now: Snapshot) -> Iterator[str]:
    counted, kept = recount(now.trials), now.tally
    for phase in TrialPhase:
        if kept.count(phase) != counted.count(phase):
            yield f"the tally must count {counted.count(phase)} {phase} trials, got {kept.count(phase)}"
    if kept.best != counted.best:
        yield f"the tally's best trial must be {counted.best}, got {kept.best}"
    for phase in FINISHED_PHASES:
        expected, got = counted.newest.get(phase, ()), kept.newest.get(phase, ())
        if expected != got:
            yield f"the tally's newest {phase} trials must be {expected}, got {got}"


def _names_and_numbers(now: Snapshot) -> Iterator[str]:
    proposed = [entry.assignment.name for entry in now.proposals]
    yield from _repeated("name", [*map(_name, now.trials), *proposed])
    numbers = [*map(_number, now.trials), *(entry.number for entry in now.proposals)]
    yield from _repeated("number", numbers)
    yield from _repeated("uid", [trial.metadata.uid for trial in now.trials])
    if now.suggestion is None:
        if proposed:
            yield f"there must be no proposals without a Suggestion, got {proposed}"
        return
    made = now.suggestion.status.suggestion_count
    beyond = [number for number in numbers if not 0 <= number < made]
    if beyond:
        yield f"numbers must be below the {made} proposals ever made, got {beyond}"


def _repeated(noun: str, values: Iterable[object]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"every {noun} must be given once, got {value!r} {times} times"


def _experiment(now: Snapshot) -> Iterator[str]:
    status = now.experiment.status
    phase = experiment_phase(status.conditions)
    yield from _conditions("the Experiment", status.conditions)
    if (status.completion_time is not None) != phase.is_finished:
        yield f"completionTime must be set when an Experiment has ended and only then, got {phase}"
    if phase.is_finished and has_condition(status.conditions, "Running"):
        yield f"an Experiment that is {phase} must not be Running as well"
    if {"Succeeded", "Failed"} <= {each.type for each in status.conditions}:
        yield "an Experiment must not be Succeeded and Failed at once"
    for name in ("failed", "succeeded", "killed", "early_stopped", "metrics_unavailable"):
        listed: tuple[str, ...] = getattr(status, f"{name}_trial_list")
        if len(listed) > NAME_LIMIT:
            yield f"{name}_trial_list must show at most {NAME_LIMIT} names, got {len(listed)}"


def _trial(trial: Trial) -> Iterator[str]:
    who, status, phase = f"trial {trial.metadata.name}", trial.status, _phase(trial)
    yield from _conditions(who, status.conditions)
    if (status.completion_time is None) != phase.is_active:
        yield f"{who}: completionTime must be set when it has ended and only then, got {phase}"
    if not phase.is_active and status.stop_request is not None:
        yield f"{who}: a Trial that is {phase} must have no stop request, got {status.stop_request}"
    ends = [each.type for each in status.conditions if each.type in FINISHED_PHASES]
    if len(ends) > 1:
        yield f"{who}: must end in one way, got {ends}"
    if ends and has_condition(status.conditions, "Running"):
        yield f"{who}: must not be Running as well as {ends[0]}"
    if trial.metadata.labels.get(EXPERIMENT_LABEL) not in {
        own.name for own in trial.metadata.owner_references
    }:
        yield f"{who}: its label must name its owner, got {trial.metadata.labels}"


def _conditions(who: str, conditions: tuple[Condition, ...]) -> Iterator[str]:
    for kind, times in Counter(each.type for each in conditions).items():
        if times > 1:
            yield f"{who}: must have one condition of each type, got {times} {kind}"
    for each in conditions:
        if each.last_update_time is None or each.last_transition_time is None:
            yield f"{who}: condition {each.type} must have both its times"


def _limits(now: Snapshot, before: Snapshot | None) -> Iterator[str]:
    # An edit may cut a limit below what is there already; what is there may not grow then.
    seen = [now] if before is None else [now, before]
    parallel = max(snapshot.experiment.spec.parallel_trial_count or DEFAULT_PARALLEL for snapshot in seen)
    active = sum(_phase(trial).is_active for trial in now.trials)
    if active > parallel and active > (before.tally.count(*ACTIVE_PHASES) if before else 0):
        yield f"at most {parallel} trials may be active at once, got {active}"
    limits = [snapshot.experiment.spec.max_trial_count for snapshot in seen]
    if None in limits:
        return
    most = max(limit for limit in limits if limit is not None)
    if len(now.trials) > most and len(now.trials) > (len(before.trials) if before else 0):
        yield f"at most {most} trials may be made, got {len(now.trials)}"


def _changes(before: Snapshot, now: Snapshot) -> Iterator[str]:
    old, new = (experiment_phase(each.experiment.status.conditions) for each in (before, now))
    if old.is_finished and new is not old and not is_restartable(before.experiment):
        yield f"an Experiment that is {old} must stay so, got {new}"
    if old is not ExperimentPhase.CREATED and new is ExperimentPhase.CREATED:
        yield f"an Experiment that was {old} must not be new again"
    known = {trial.metadata.uid: trial for trial in now.trials}
    for trial in before.trials:
        kept = known.get(trial.metadata.uid)
        if kept is not None:
            yield from _trial_changes(trial, kept)
    if before.suggestion is None or now.suggestion is None:
        return
    if before.suggestion.metadata.uid == now.suggestion.metadata.uid:
        yield from _suggestion_changes(before, now, before.suggestion, now.suggestion)


def _trial_changes(before: Trial, now: Trial) -> Iterator[str]:
    who = f"trial {now.metadata.name}"
    if before.spec != now.spec:
        yield f"{who}: its spec must not change"
    if before.metadata.deletion_timestamp is not None and now.metadata.deletion_timestamp is None:
        yield f"{who}: a deletion must not be taken back"
    if not _phase(before).is_active:
        if _phase(now) is not _phase(before):
            yield f"{who}: must stay {_phase(before)}, got {_phase(now)}"
        if before.status.observation != now.status.observation:
            yield f"{who}: what it measured must not change once it has ended"


def _suggestion_changes(before: Snapshot, now: Snapshot, old: Suggestion, new: Suggestion) -> Iterator[str]:
    was, made = old.status.suggestion_count, new.status.suggestion_count
    if made < was:
        yield f"suggestionCount must not shrink from {was}, got {made}"
    if old.status.exhausted and (made > was or not new.status.exhausted):
        yield "an algorithm that has reached its end must not propose again"
    taken = {trial.metadata.uid for trial in before.trials} - {trial.metadata.uid for trial in now.trials}
    if taken:
        return
    there = {*map(_number, now.trials), *(entry.number for entry in now.proposals)}
    lost = [number for number in range(was, made) if number not in there]
    if lost:
        yield f"every proposal must be kept until its Trial is deleted, lost numbers {lost}"


def _counters(now: Snapshot) -> Iterator[str]:
    status, counted = now.experiment.status, recount(now.trials)
    shown = {
        None: status.trials,
        TrialPhase.SUCCEEDED: status.trials_succeeded,
        TrialPhase.FAILED: status.trials_failed,
        TrialPhase.KILLED: status.trials_killed,
        TrialPhase.PENDING: status.trials_pending,
        TrialPhase.RUNNING: status.trials_running,
        TrialPhase.EARLY_STOPPED: status.trials_early_stopped,
        TrialPhase.METRICS_UNAVAILABLE: status.trial_metrics_unavailable,
    }
    for phase, number in shown.items():
        expected = counted.count() if phase is None else counted.count(phase)
        if number != expected:
            yield f"the status must count {expected} {phase or 'trials'}, got {number}"
    best = status.current_optimal_trial
    expected_best = counted.best.name if counted.best else None
    if (best.best_trial_name if best else None) != expected_best:
        yield f"currentOptimalTrial must be {expected_best}, got {best}"
    for phase, listed in (
        (TrialPhase.RUNNING, status.running_trial_list),
        (TrialPhase.PENDING, status.pending_trial_list),
    ):
        names = tuple(_name(trial) for trial in sorted(now.trials, key=_number) if _phase(trial) is phase)
        if listed != names:
            yield f"the status must list {names} as {phase}, got {listed}"


def _balance(now: Snapshot) -> Iterator[str]:
    experiment, suggestion = now.experiment, now.suggestion
    if experiment.metadata.deletion_timestamp is not None:
        yield from _leaving(now)
        return
    active = [trial for trial in now.trials if _phase(trial).is_active]
    staying = [trial for trial in active if not _is_stopping(trial)]
    if experiment_phase(experiment.status.conditions).is_finished:
        if staying:
            yield f"an Experiment that has ended must stop its trials, got {len(staying)} that go on"
        return
    spec = experiment.spec
    parallel = spec.parallel_trial_count or DEFAULT_PARALLEL
    if len(staying) > parallel:
        yield f"at most {parallel} trials may go on after an edit, got {len(staying)}"
    free = parallel - len(active)
    if spec.max_trial_count is not None:
        free = min(free, spec.max_trial_count - len(now.trials))
    if free > 0 and now.proposals:
        yield f"{free} places are free, and {len(now.proposals)} proposals wait"
    if free > 0 and (suggestion is None or not suggestion.status.exhausted):
        asked = suggestion.spec.requests - suggestion.status.suggestion_count if suggestion else 0
        if asked < free:
            yield f"{free} places are free, but only {max(asked, 0)} proposals are asked for"


def _leaving(now: Snapshot) -> Iterator[str]:
    if now.suggestion is not None:
        yield "a deleted Experiment's Suggestion must be removed"
    staying = [_name(trial) for trial in now.trials if trial.metadata.deletion_timestamp is None]
    if staying:
        yield f"a deleted Experiment's trials must be deleted, got {staying}"
    ended = [_name(trial) for trial in now.trials if not _phase(trial).is_active]
    if ended:
        yield f"a deleted Experiment's ended trials must be removed, got {ended}"
    if not now.trials and now.suggestion is None:
        yield "a deleted Experiment that owns nothing must be removed"


def _phase(trial: Trial) -> TrialPhase:
    return trial_phase(trial.status.conditions)


def _name(trial: Trial) -> str:
    return trial.metadata.name


def _number(trial: Trial) -> int:
    return trial.spec.number or 0


def _is_stopping(trial: Trial) -> bool:
    return trial.status.stop_request is not None or trial.metadata.deletion_timestamp is not None
