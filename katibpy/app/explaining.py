"""Gathers the facts by which an Experiment or a Trial is explained."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.app.last_runs import last_run
from katibpy.app.trial_output import OutputReader
from katibpy.collectors.following import last_lines
from katibpy.core.explanation.explain import explain_experiment, explain_trial
from katibpy.core.explanation.facts import ExperimentFacts, FailureGroup, Operator, TrialFacts
from katibpy.core.explanation.finding import Finding
from katibpy.core.explanation.trial_failure import alike, shared_values
from katibpy.core.phases import TrialPhase, experiment_phase, trial_phase
from katibpy.core.records import strategy_value
from katibpy.core.retention import KeepTrials
from katibpy.launchers.child_process import LOG_NAME
from katibpy.launchers.plug_ins import log_name
from katibpy.ports import ObservationStore, ResourceStore
from katibpy.runners.attempt import Attempt
from katibpy.stores.state_directory import lock_holder

_FAILURES_READ = 1000
_GROUPS_TOLD = 5
_ACTIVE_READ = 50
_NEWEST_READ = 50
_OUTPUT_READ = 8 << 20
_TAIL = 1 << 14
_LONGEST_LINE = 300
_MOST_MENTIONS = 5
_LOOKED_BACK_SECONDS = (60.0, 3600.0, 86400.0, 3e9)


class Source(Protocol):
    """What the facts are read from: an open state directory, or the engine that works on it."""

    @property
    def path(self) -> Path:
        """The state directory."""
        ...

    @property
    def resources(self) -> ResourceStore:
        """Its resources."""
        ...

    @property
    def observations(self) -> ObservationStore:
        """Its metrics."""
        ...

    def log_path(self, trial: Trial) -> Path:
        """Where the trial's output goes."""
        ...

    def removed_by(self, trial: Trial) -> KeepTrials | None:
        """The policy by which files of ended trials of the Experiment were removed."""
        ...


def why(source: Source, experiment: Experiment) -> tuple[Finding, ...]:
    """Why the Experiment is not advancing, or how it ended; the finding that matters most first.

    Raises:
        StoreError: the state directory cannot be read.
    """
    return explain_experiment(_experiment_facts(source, experiment))


def why_trial(source: Source, trial: Trial) -> tuple[Finding, ...]:
    """Why the Trial stands where it stands; raises as `why`."""
    name = trial.metadata.labels.get(EXPERIMENT_LABEL, "")
    owner = source.resources.find(Experiment, trial.metadata.namespace, name)
    facts = None if owner is None else _experiment_facts(source, owner)
    return explain_trial(_trial_facts(source, trial), facts)


def _experiment_facts(source: Source, experiment: Experiment) -> ExperimentFacts:
    store, uid = source.resources, experiment.metadata.uid or ""
    meta = experiment.metadata
    tally, active = store.tally(uid), store.active_trials(uid)
    suggestion = store.find(Suggestion, meta.namespace, meta.name)
    ended = _newest(store, meta.namespace, tally.newest.get(TrialPhase.SUCCEEDED, ()))
    failed = _failed(store, experiment)
    values = (strategy_value(trial, trial.spec.objective.objective_metric_name) for trial in ended)
    log = _service_log(source.path / "logs", experiment)
    return ExperimentFacts(
        experiment=experiment,
        now=datetime.now(UTC),
        operator=_operator(source, experiment),
        suggestion=suggestion,
        tally=tally,
        active=tuple(_trial_facts(source, trial) for trial in active[:_ACTIVE_READ]),
        failures=_groups(source, failed, ended),
        failures_read=len(failed),
        objectives=tuple(value for value in values if value is not None),
        quiet_since=_quiet_since(store, experiment, (*active, *ended)),
        typical_seconds=_median_seconds(ended),
        service_log="" if log is None else str(log),
    )


def _service_log(folder: Path, experiment: Experiment) -> Path | None:
    """Where the Experiment's algorithm writes: a service of its own, one of the configuration, or ours."""
    algorithm = experiment.spec.algorithm
    name, uid = algorithm.algorithm_name if algorithm else "", experiment.metadata.uid or ""
    candidates = (folder / each for each in (log_name(name, uid), log_name(name), LOG_NAME))
    return next((path for path in candidates if path.exists()), None)


def _trial_facts(source: Source, trial: Trial) -> TrialFacts:
    phase = trial_phase(trial.status.conditions)
    path = source.log_path(trial)
    facts = TrialFacts(trial, is_alive=phase.is_active and _is_alive(path.parent))
    if phase is TrialPhase.RUNNING:
        last, reports = _last_report(source.observations, trial)
        return replace(facts, last_report=last, reports=reports, output=_tail(path))
    if phase.is_active or path.exists():
        if phase is TrialPhase.METRICS_UNAVAILABLE:
            facts = replace(facts, mentions=_mentions(path, trial.spec.objective.objective_metric_name))
        return facts
    policy = source.removed_by(trial)
    return facts if policy is None else replace(facts, removed_by=policy.value)


def _is_alive(directory: Path) -> bool:
    return any(Attempt(attempt).is_held() for attempt in directory.glob("attempt-*"))


def _last_report(observations: ObservationStore, trial: Trial) -> tuple[datetime | None, int]:
    """When the newest value of the objective came, and how many there are."""
    uid, name = trial.metadata.uid or "", trial.spec.objective.objective_metric_name
    summary = observations.summarize(uid, (name,)).get(name)
    if summary is None:
        return None, 0
    now = datetime.now(UTC).timestamp()
    for seconds in _LOOKED_BACK_SECONDS:
        # There may be millions of them, and the newest is mostly young.
        recent = observations.read(uid, metric=name, start_time=now - seconds)
        if recent:
            return datetime.fromtimestamp(recent[-1].time, UTC), summary.count
    return None, summary.count


def _failed(store: ResourceStore, experiment: Experiment) -> Sequence[Trial]:
    phases = (TrialPhase.FAILED.value, TrialPhase.METRICS_UNAVAILABLE.value)
    return store.list(Trial, owner_uid=experiment.metadata.uid, phases=phases, limit=_FAILURES_READ).items


def _groups(source: Source, failed: Sequence[Trial], succeeded: Sequence[Trial]) -> tuple[FailureGroup, ...]:
    good = [{each.name: each.value for each in trial.spec.parameter_assignments} for trial in succeeded]
    return tuple(
        FailureGroup(len(group), _trial_facts(source, group[0]), shared_values(group, good))
        for group in alike(failed)[:_GROUPS_TOLD]
    )


def _newest(store: ResourceStore, namespace: str, names: Sequence[str]) -> tuple[Trial, ...]:
    found = (store.find(Trial, namespace, name) for name in names[-_NEWEST_READ:])
    return tuple(trial for trial in found if trial is not None)


def _quiet_since(store: ResourceStore, experiment: Experiment, known: Sequence[Trial]) -> datetime | None:
    """When a trial was last created or ended."""
    tally = store.tally(experiment.metadata.uid or "")
    others = [names[-1:] for phase, names in tally.newest.items() if phase is not TrialPhase.SUCCEEDED]
    trials = [
        *known,
        *(each for names in others for each in _newest(store, experiment.metadata.namespace, names)),
    ]
    moments = [trial.status.completion_time or trial.status.start_time for trial in trials]
    return max((moment for moment in moments if moment is not None), default=None)


def _median_seconds(trials: Sequence[Trial]) -> float | None:
    lengths = [
        (trial.status.completion_time - trial.status.start_time) / timedelta(seconds=1)
        for trial in trials
        if trial.status.completion_time is not None and trial.status.start_time is not None
    ]
    return sorted(lengths)[len(lengths) // 2] if lengths else None


def _operator(source: Source, experiment: Experiment) -> Operator:
    holder, last = lock_holder(source.path), last_run(source.path, experiment)
    if experiment_phase(experiment.status.conditions).is_finished:
        return Operator(holder)
    command = _resume_command(source.path, experiment)
    if last is not None and last.command:
        command = last.command
        if Path(last.directory) != Path.cwd():
            command = f"cd {shlex.quote(last.directory)} && {command}"
    last_pid = None if last is None else last.pid
    is_running = holder is not None and holder == last_pid
    return Operator(holder, is_running, last_pid, command)


def _resume_command(state_dir: Path, experiment: Experiment) -> str:
    """Works without the file that the Experiment came from."""
    meta = experiment.metadata
    namespace = "" if meta.namespace == "default" else f" -n {shlex.quote(meta.namespace)}"
    option = f"{namespace} --state-dir {shlex.quote(os.path.relpath(state_dir))}"
    return f"katib get experiment {meta.name} -o yaml{option} | katib run -{option}"


def _tail(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return last_lines(file.read(_TAIL))
    except OSError:
        return ()


def _mentions(path: Path, name: str) -> tuple[tuple[int, str], ...]:
    """The lines that hold a metric's name, however it is written, with their numbers."""
    wanted = re.compile(re.escape(name), re.IGNORECASE)
    found: list[tuple[int, str]] = []
    try:
        with OutputReader(path) as reader:
            _each_line(
                reader, lambda number, line: _take(found, number, line) if wanted.search(line) else True
            )
    except OSError:
        return ()
    return tuple(found)


def _take(found: list[tuple[int, str]], number: int, line: str) -> bool:
    found.append((number, line.strip()[:_LONGEST_LINE]))
    return len(found) < _MOST_MENTIONS


def _each_line(reader: OutputReader, take: Callable[[int, str], bool]) -> None:
    """Hands over the lines of the first megabytes, until that is refused."""
    rest, number, read = b"", 0, 0
    while read < _OUTPUT_READ and (chunk := reader.read()):
        read += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            if not take(number, line.decode(errors="replace")):
                return
    if rest:
        take(number + 1, rest.decode(errors="replace"))
