"""What is said of an Experiment that has not ended: what it waits for, and what runs."""

from __future__ import annotations

from datetime import timedelta

from katibpy.api.status_conditions import find_condition
from katibpy.api.trial import Trial
from katibpy.core.explanation.advice import wait_of
from katibpy.core.explanation.facts import ExperimentFacts, TrialFacts
from katibpy.core.explanation.finding import Finding, Findings, Severity, ago, counted, length, listed
from katibpy.core.phases import TrialPhase, trial_phase
from katibpy.core.plan_experiment import DEFAULT_PARALLEL
from katibpy.core.plan_suggestion import service_failure

_WAITS = "waits: "
_STARTS = "its process is being started"
_SILENT_FACTOR = 5.0
_SILENT_SECONDS = 600.0
_SLOW_SECONDS = 10.0


def nothing_runs_it(facts: ExperimentFacts) -> Findings:
    """Whether there is a program that runs the Experiment at all."""
    operator, experiment = facts.operator, facts.experiment
    if operator.is_running_it:
        return
    running = find_condition(experiment.status.conditions, "Running")
    is_interrupted = running is not None and running.status == "False" and running.reason == "Interrupted"
    evidence = []
    if running is not None and is_interrupted and running.last_transition_time is not None:
        evidence.append(f"it was interrupted {ago(running.last_transition_time, facts.now)} ago")
    elif operator.last_pid is not None:
        evidence.append(f"the last one that ran it (pid {operator.last_pid}) is gone and left it unfinished")
    alive = sum(each.is_alive for each in facts.active)
    if alive:
        evidence.append(
            f"processes of {counted(alive, 'trial')} are alive; the next run takes them over as they are"
        )
    if operator.holder is not None:
        evidence.append(f"the `katib run` that works here (pid {operator.holder}) runs other experiments")
    what = "nothing runs it: no `katib run` works on its state directory"
    if operator.holder is not None:
        what = "nothing runs it: the `katib run` that works on its state directory was not given this one"
    first = "" if operator.holder is None else f"wait for pid {operator.holder} or end it, then "
    yield Finding(
        "NotRunning",
        Severity.PROBLEM,
        what,
        tuple(evidence),
        f"{first}go on with `{operator.resume_command}`",
    )


def service_troubles(facts: ExperimentFacts) -> Findings:
    """Whether the algorithm service answers."""
    suggestion = facts.suggestion
    trouble = service_failure(suggestion)
    ready = find_condition(suggestion.status.conditions, "DeploymentReady") if suggestion else None
    if not trouble or ready is None:
        return
    since = ready.last_transition_time
    lasting = "" if since is None else f" for {ago(since, facts.now)}"
    log = f"its log is {facts.service_log}" if facts.service_log else "see its log"
    yield Finding(
        "AlgorithmServiceFailing",
        Severity.PROBLEM,
        f"the algorithm service has given no usable answer{lasting}",
        tuple(trouble.split("\n")),
        f"it is asked again and again; {log}",
    )


def waiting_trials(facts: ExperimentFacts) -> Findings:
    """What the trials that have not begun wait for."""
    by_kind: dict[str, list[tuple[Trial, str]]] = {}
    for each in facts.active:
        message = waits_for(each.trial)
        if message:
            by_kind.setdefault(wait_of(message).kind, []).append((each.trial, message))
    for kind, waiting in by_kind.items():
        first, message = waiting[0]
        began = first.status.start_time
        lasting = "" if began is None else f" for {ago(began, facts.now)}"
        who = f"trial {first.metadata.name} waits" if len(waiting) == 1 else f"{len(waiting)} trials wait"
        evidence = () if len(waiting) == 1 else (f"the first of them: {first.metadata.name}",)
        advice = wait_of(message).advice
        yield Finding(kind, Severity.WAITING, f"{who}{lasting}: {message}", evidence, advice)


def waits_for(trial: Trial) -> str:
    """What a trial that has not begun waits for, "" when nothing is known of it."""
    if trial_phase(trial.status.conditions) is not TrialPhase.PENDING:
        return ""
    created = find_condition(trial.status.conditions, "Created")
    message = "" if created is None else created.message.partition(_WAITS)[2]
    return "" if message == _STARTS else message


def slow_algorithm(facts: ExperimentFacts) -> Findings:
    """Whether the next trials wait for the algorithm to think of them."""
    suggestion = facts.suggestion
    if suggestion is None or suggestion.status.exhausted:
        return
    missing = suggestion.spec.requests - suggestion.status.suggestion_count
    since = facts.quiet_since or facts.experiment.status.start_time
    waited = 0.0 if since is None else (facts.now - since) / timedelta(seconds=1)
    if missing <= 0 or waited < _SLOW_SECONDS or any(True for _ in service_troubles(facts)):
        return
    algorithm = suggestion.spec.algorithm.algorithm_name
    running = len(facts.active)
    evidence = (
        f"{suggestion.status.suggestion_count} of {suggestion.spec.requests} proposals have come",
        f"{counted(running, 'trial')} running meanwhile",
    )
    advice = f"`katib algorithms {algorithm}` shows the settings that make it quicker"
    if running:
        advice = f"some algorithms wait for results before they propose more; {advice}"
    yield Finding(
        "AlgorithmThinking",
        Severity.WAITING,
        f"the algorithm {algorithm} has owed {counted(missing, 'proposal')} for {length(waited)}",
        evidence,
        advice,
    )


def silent_trials(facts: ExperimentFacts) -> Findings:
    """Whether running trials have reported nothing for unusually long."""
    limit = max(_SILENT_SECONDS, _SILENT_FACTOR * (facts.typical_seconds or 0.0))
    silent = [(quiet_seconds(each, facts), each) for each in facts.active if _is_running(each)]
    silent = sorted(((quiet, each) for quiet, each in silent if quiet > limit), key=lambda pair: -pair[0])
    if not silent:
        return
    _, first = silent[0]
    typical = facts.typical_seconds
    evidence = [_report_line(each, facts) for _, each in silent[:3]]
    if typical is not None:
        evidence.append(f"trials that have ended took {length(typical)} in the median")
    if first.output:
        evidence.append(f"the last output of {first.trial.metadata.name}: {first.output[-1]}")
    name = first.trial.metadata.name
    yield Finding(
        "NoReports",
        Severity.WAITING,
        f"{_of(len(silent), sum(map(_is_running, facts.active)))} running without a report "
        f"for more than {length(limit)}",
        tuple(evidence),
        f"`katib logs {name} --tail 20` shows what it does; activeDeadlineSeconds in the trial template ends "
        "one that hangs",
    )


def quiet_seconds(each: TrialFacts, facts: ExperimentFacts) -> float:
    """How long a trial has reported nothing, since it was created if it never did."""
    since = each.last_report or each.trial.status.start_time
    return 0.0 if since is None else (facts.now - since) / timedelta(seconds=1)


def parallel_limits(facts: ExperimentFacts) -> Findings:
    """Why fewer trials run than may run at once."""
    spec, suggestion = facts.experiment.spec, facts.suggestion
    parallel = spec.parallel_trial_count or DEFAULT_PARALLEL
    active = facts.tally.count(TrialPhase.PENDING, TrialPhase.RUNNING)
    if active >= parallel or not active:
        return
    if spec.max_trial_count is not None and facts.tally.count() >= spec.max_trial_count:
        cause = f"spec.maxTrialCount ({spec.max_trial_count}) leaves no further one to start"
    elif suggestion is not None and suggestion.status.exhausted:
        cause = "the search space is exhausted: there is nothing left to try"
    else:
        return
    yield Finding(
        "LastTrials",
        Severity.NOTE,
        f"{active} of up to {counted(parallel, 'trial')} run at once, because {cause}",
    )


def at_work(facts: ExperimentFacts) -> Findings:
    """That it runs as it should: what runs, and how long ago the last news came."""
    running = [each for each in facts.active if _is_running(each)]
    tally, limit = facts.tally, facts.experiment.spec.max_trial_count
    done = (
        f"{tally.finished} of {limit} trials have ended"
        if limit
        else f"{counted(tally.finished, 'trial')} ended"
    )
    if running:
        evidence = [_report_line(each, facts) for each in running[:3]]
        yield Finding(
            "Running", Severity.RESULT, f"{counted(len(running), 'trial')} running, {done}", tuple(evidence)
        )
    elif facts.active:
        names = listed([each.trial.metadata.name for each in facts.active])
        yield Finding(
            "Starting", Severity.RESULT, f"{counted(len(facts.active), 'trial')} starting ({names}), {done}"
        )
    else:
        yield Finding("Starting", Severity.RESULT, f"its next trials are being prepared, {done}")


def _is_running(each: TrialFacts) -> bool:
    return trial_phase(each.trial.status.conditions) is TrialPhase.RUNNING


def _report_line(each: TrialFacts, facts: ExperimentFacts) -> str:
    name, began = each.trial.metadata.name, each.trial.status.start_time
    runs = "" if began is None else f" for {ago(began, facts.now)}"
    if each.last_report is None:
        return f"{name} runs{runs}, no report yet"
    return (
        f"{name} runs{runs}, last of {counted(each.reports, 'report')} {ago(each.last_report, facts.now)} ago"
    )


def _of(count: int, total: int) -> str:
    return counted(count, "trial") if count == total else f"{count} of {counted(total, 'trial')}"
