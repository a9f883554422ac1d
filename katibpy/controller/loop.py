"""The controller: takes a key, gathers, plans, performs, writes the status."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from katibpy.api.experiment import Experiment, ExperimentStatus
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import EXPERIMENT_LABEL, Trial, TrialStatus
from katibpy.controller.adapters import Adapters
from katibpy.controller.backoff import Backoff
from katibpy.controller.change_watch import ChangeWatch
from katibpy.controller.gather import ActiveTrials, gather_experiment, gather_trial
from katibpy.controller.key_queue import KeyQueue
from katibpy.controller.perform import Performer
from katibpy.controller.suggesting import Suggesting
from katibpy.core import instructions as do
from katibpy.core.phases import ACTIVE_PHASES, ExperimentPhase, TrialPhase, experiment_phase, trial_phase
from katibpy.core.plan_experiment import plan_experiment
from katibpy.core.plan_trial import plan_trial
from katibpy.errors import Conflict, KatibError, NotFound
from katibpy.ports import Key

logger = logging.getLogger(__name__)

_ACTIVE = tuple(phase.value for phase in ACTIVE_PHASES)
_UNFINISHED = tuple(phase.value for phase in ExperimentPhase if not phase.is_finished)

_CONFLICTS_IN_A_ROW = 5
"""So often a key that met a conflict is looked at again without a pause."""

_SHOWS_AT_ONCE = do.StartRun | do.DrainMetrics
"""What a run has often made of these when it is looked at again; then one write tells both."""

_COUNTERS_LAG_SECONDS = 0.1
"""So seldom an Experiment's counters are written when nothing else about it changes: those of many Trials
that begin or end within this time are written at once."""

R = TypeVar("R", bound=Resource)

Scope = Callable[[str, str], bool]
"""Whether this controller looks after the Experiment of that namespace and name."""


def everything(namespace: str, experiment_name: str) -> bool:
    """The scope of a controller that looks after all Experiments."""
    return True


class Controller:
    """Reconciles Experiments, Suggestions and Trials until stopped.

    `start` runs it on threads of its own; `step` runs one reconciliation in the calling thread, for
    simulations. One key is never reconciled by two threads at once.
    """

    def __init__(
        self,
        adapters: Adapters,
        *,
        scope: Scope = everything,
        workers: int = 4,
        request_timeout_seconds: float = 60.0,
        poll_seconds: float = 0.5,
        resync_seconds: float = 60.0,
    ) -> None:
        self.adapters = adapters
        # Algorithms may take long to answer; whatever they do, one worker is left for trials that end.
        self.queue = KeyQueue(adapters.clock, at_most={"Suggestion": max(workers - 1, 1)})
        self._scope = scope
        self._active = ActiveTrials()
        self._error_backoff = Backoff(adapters.clock)
        self._conflicts = Backoff(adapters.clock)
        self._counters = Backoff(adapters.clock)
        self._poll_seconds = poll_seconds
        self._watch = ChangeWatch(
            adapters.store, adapters.clock, poll_seconds=poll_seconds, resync_seconds=resync_seconds
        )
        self._performer = Performer(
            adapters,
            enqueue=self.queue.add,
            wrote=self._watch.wrote,
            request_timeout_seconds=request_timeout_seconds,
        )
        self._suggesting = Suggesting(
            adapters, performer=self._performer, queue=self.queue, wrote=self._watch.wrote
        )
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._is_stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"controller-{index}", daemon=True)
            for index in range(workers)
        ]
        adapters.runner.subscribe(self.queue.add)
        adapters.collector.subscribe(self.queue.add)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Calls the listener after every reconciliation, from the thread that made it."""
        self._listeners = (*self._listeners, listener)

    def start(self) -> None:
        """Takes up everything unfinished and begins to reconcile."""
        self.resync()
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_seconds: float = 10.0, cancel: Callable[[], None] | None = None) -> None:
        """Ends the threads; reconciliations in progress are finished first.

        Args:
            timeout_seconds: how long each thread is waited for.
            cancel: ends questions under way, so that they need not be waited for.
        """
        self._is_stopping.set()
        self.queue.close()
        if cancel is not None:
            cancel()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_seconds)

    def resync(self) -> None:
        """Queues whatever may need attention, as after a restart."""
        self._watch.start()
        self._queue_experiments(self.adapters.store.list(Experiment).items)
        self._queue_unfinished()

    def _queue_unfinished(self) -> None:
        store = self.adapters.store
        self._queue_experiments(store.list(Experiment, phases=_UNFINISHED).items)
        self._queue_experiments(store.list(Experiment, is_deleting=True).items)
        active = store.list(Trial, phases=_ACTIVE).items
        for trial in (*active, *store.list(Trial, is_deleting=True).items):
            if self._is_mine(trial):
                self.queue.add(trial.key)

    def _queue_experiments(self, experiments: Iterable[Experiment]) -> None:
        for experiment in experiments:
            if self._is_mine(experiment):
                self.queue.add(experiment.key)
                self.queue.add(("Suggestion", *experiment.key[1:]))

    def step(self, *, timeout_seconds: float | None = 0.0) -> bool:
        """Reconciles one key in this thread; False when there was none in time."""
        self._notice_changes()
        key = self.queue.take(timeout_seconds=timeout_seconds)
        if key is None:
            return False
        try:
            self._reconcile_safely(key)
        finally:
            self.queue.done(key)
        for listener in self._listeners:
            listener()
        return True

    def reconcile(self, key: Key) -> None:
        """Brings one resource a step further. Raises what the ports raise."""
        kind, namespace, name = key
        store = self.adapters.store
        if kind == "Trial":
            trial = store.find(Trial, namespace, name)
            if trial is not None and self._is_mine(trial):
                self._reconcile_trial(trial)
        elif kind == "Suggestion":
            suggestion = store.find(Suggestion, namespace, name)
            if suggestion is None:
                self._suggesting.forget(key)
            elif self._is_mine(suggestion):
                self._suggesting.reconcile(suggestion)
        elif kind == "Experiment":
            experiment = store.find(Experiment, namespace, name)
            if experiment is None:
                self._counters.succeeded(key)
            elif self._is_mine(experiment):
                self._reconcile_experiment(experiment)

    # One method per kind, but for Suggestions.

    def _reconcile_experiment(self, experiment: Experiment) -> None:
        view = gather_experiment(self.adapters, experiment, active=self._active)
        plan = plan_experiment(view)
        for instruction in plan.instructions:
            self._performer.perform(instruction)
        if experiment.metadata.deletion_timestamp is not None:
            return
        before = experiment_phase(experiment.status.conditions)
        after = experiment_phase(plan.status.conditions)
        if plan.status != experiment.status:
            wait = self._counters.seconds_left(experiment.key)
            # The last word on an Experiment is never put off: nobody may be there to say it.
            if wait > 0 and not after.is_finished and _is_only_counted(experiment.status, plan.status):
                self.queue.add_after(experiment.key, wait)
            else:
                self._write_status(experiment.but(status=plan.status))
                self._counters.postpone(experiment.key, _COUNTERS_LAG_SECONDS)
        if after is not before:
            logger.info("%s/%s: Experiment is %s", *experiment.key[1:], after.value)
            self.queue.add(("Suggestion", *experiment.key[1:]))
        suggestion = view.suggestion
        if (
            suggestion is not None
            and not after.is_finished
            and suggestion.spec.requests > suggestion.status.suggestion_count
        ):
            self.queue.add(suggestion.key)  # an algorithm that waits for results wants to see them

    def _reconcile_trial(self, trial: Trial) -> None:
        plan = self._act_on_trial(trial)
        if any(isinstance(step, _SHOWS_AT_ONCE) for step in plan.instructions):
            self.queue.looked_again(trial.key)
            plan = self._act_on_trial(trial.but(status=plan.status))
        before = trial_phase(trial.status.conditions)
        if trial.metadata.deletion_timestamp is not None:
            if any(isinstance(step, do.RemoveTrial) for step in plan.instructions):
                self._wake_owner(trial)
            return
        if plan.status == trial.status:
            return
        written = self._write_status(trial.but(status=plan.status))
        after = trial_phase(plan.status.conditions)
        if after is before:
            return
        logger.log(
            logging.DEBUG if after is TrialPhase.RUNNING else logging.INFO,
            "%s/%s: Trial is %s",
            *trial.key[1:],
            after.value,
        )
        if after.is_active:
            self._wake_owner(trial, after_seconds=_COUNTERS_LAG_SECONDS)
            return
        self._wake_owner(trial)
        self._act_on_trial(written)  # which lets go of its run

    def _act_on_trial(self, trial: Trial) -> do.Plan[TrialStatus]:
        plan = plan_trial(gather_trial(self.adapters, trial))
        for instruction in plan.instructions:
            self._performer.perform(instruction)
        return plan

    def _wake_owner(self, trial: Trial, *, after_seconds: float = 0.0) -> None:
        name = trial.metadata.labels.get(EXPERIMENT_LABEL)
        if name is None:
            return
        key = ("Experiment", trial.metadata.namespace, name)
        if after_seconds:
            self.queue.add_after(key, after_seconds)
        else:
            self.queue.add(key)

    def _write_status(self, resource: R) -> R:
        written = self.adapters.store.replace_status(resource)
        self._note_own(resource, written)
        return written

    def _note_own(self, given: Resource, stored: Resource) -> None:
        if stored.metadata.resource_version != given.metadata.resource_version:
            self._watch.wrote(stored.metadata.resource_version)

    # Around the reconciliations.

    def _is_mine(self, resource: Resource) -> bool:
        meta = resource.metadata
        if meta.deletion_timestamp is not None:
            return True
        name = meta.labels.get(EXPERIMENT_LABEL, "") if resource.kind == "Trial" else meta.name
        return self._scope(meta.namespace, name)

    def _work(self) -> None:
        while not self._is_stopping.is_set():
            self.step(timeout_seconds=self._poll_seconds)

    def _reconcile_safely(self, key: Key) -> None:
        try:
            self.reconcile(key)
        except (Conflict, NotFound) as err:
            # It changed while we planned: plan again. What goes on conflicting is no coincidence.
            if self._conflicts.failed(key) < _CONFLICTS_IN_A_ROW:
                self.queue.add(key)
            else:
                self._retry(key, err, with_traceback=False)
        except KatibError as err:
            self._retry(key, err, with_traceback=False)
        except Exception as err:  # noqa: BLE001 - one broken resource must not end the controller
            self._retry(key, err, with_traceback=True)
        else:
            self._error_backoff.succeeded(key)
            self._conflicts.succeeded(key)

    def _retry(self, key: Key, err: Exception, *, with_traceback: bool) -> None:
        attempts = self._error_backoff.failed(key)
        delay = min(0.1 * 2 ** min(attempts, 9), 30.0)
        logger.error("%s %s/%s: %s; again in %.1f s", *key, err, delay, exc_info=with_traceback)
        self.queue.add_after(key, delay)

    def _notice_changes(self) -> None:
        """Queues what others wrote to the store, and now and then everything unfinished."""
        try:
            news = self._watch.look()
            if news.is_behind:
                self.resync()
            elif news.is_due:
                self._queue_unfinished()  # whatever told us nothing, a watch that broke off for instance
        except KatibError as err:
            logger.warning("cannot read the store's changes: %s", err)
            return
        for kind, namespace, name in news.keys:
            self.queue.add((kind, namespace, name))
            if kind == "Experiment":
                self.queue.add(("Suggestion", namespace, name))


def _is_only_counted(before: ExperimentStatus, now: ExperimentStatus) -> bool:
    """Whether two statuses differ in nothing but counters, names and the best Trial."""
    return before.conditions == now.conditions and before.observed_generation == now.observed_generation
