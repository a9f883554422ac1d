"""Perform: each instruction is one port call, and says which keys to look at next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from katibpy.algo.algorithm import Reply
from katibpy.api.experiment import Experiment, TrialTemplate
from katibpy.api.model import NameValue, Resource
from katibpy.api.template import CompiledTemplate, compile_template
from katibpy.api.trial import Trial
from katibpy.controller.adapters import Adapters
from katibpy.core import instructions as do
from katibpy.core.building import trial_of
from katibpy.core.phases import trial_phase
from katibpy.core.records import HistoryDelta
from katibpy.core.views import AlgorithmReply, Proposed
from katibpy.ports import Key, SuggestionCall

logger = logging.getLogger(__name__)

Enqueue = Callable[[Key], None]

_TEMPLATES_KEPT = 64
_PAIR = NameValue(name="", value="")


class StoreHistory:
    """An Experiment's history, read from the store when the gateway wants it."""

    def __init__(self, adapters: Adapters, experiment_uid: str) -> None:
        self._store = adapters.store
        self._uid = experiment_uid

    def read(self, since: str | None) -> HistoryDelta:
        """What changed since the token; everything for None."""
        return self._store.history(self._uid, since=since)


class Performer:
    """Performs instructions.

    Thread-safe: the only state is a memo of compiled templates, written whole under the GIL.
    """

    def __init__(
        self,
        adapters: Adapters,
        *,
        enqueue: Enqueue,
        wrote: Callable[[str | None], None],
        request_timeout_seconds: float,
    ) -> None:
        """Prepares the mapping.

        Args:
            adapters: the ports.
            enqueue: called with the key of whatever should be looked at next.
            wrote: called with each resource version made here, whose key is enqueued as well.
            request_timeout_seconds: how long one question to an algorithm may take.
        """
        self._adapters = adapters
        self._enqueue = enqueue
        self._wrote = wrote
        self._timeout = request_timeout_seconds
        self._templates: dict[tuple[str | None, int | None], CompiledTemplate] = {}
        self._steps: dict[type[Any], Callable[[Any], None]] = {
            do.CreateSuggestion: self._create_suggestion,
            do.RequestProposals: self._request_proposals,
            do.CreateTrial: self._create_trial,
            do.RequestStop: self._request_stop,
            do.ReleaseAlgorithm: self._release_algorithm,
            do.StartRun: self._start_run,
            do.DropMetrics: self._drop_metrics,
            do.FollowMetrics: self._follow_metrics,
            do.StopRun: self._stop_run,
            do.DrainMetrics: self._drain_metrics,
            do.ReleaseRun: self._release_run,
            do.DeleteOwned: self._delete_owned,
            do.RemoveTrial: self._remove_trial,
            do.RemoveSuggestion: self._remove_suggestion,
            do.RemoveExperiment: self._remove_experiment,
        }

    def perform(self, instruction: do.Instruction) -> None:
        """Performs one instruction; questions and SaveReply have methods of their own."""
        self._steps[type(instruction)](instruction)

    def handles(self) -> frozenset[type[Any]]:
        """Every instruction type this class performs."""
        return frozenset(self._steps) | {do.ValidateSettings, do.AskAlgorithm, do.SaveReply}

    # Questions to the algorithm service: the answer goes back to the planner.

    def validate_settings(self, step: do.ValidateSettings) -> None:
        """Returns when the service accepts the Experiment; raises InvalidSettings or ServiceError."""
        self._adapters.gateway.validate(step.experiment, timeout_seconds=self._timeout)

    def ask_algorithm(self, step: do.AskAlgorithm) -> AlgorithmReply:
        """The service's answer; raises InvalidSettings or ServiceError."""
        uid = step.experiment.metadata.uid or ""
        call = SuggestionCall(
            experiment=step.experiment,
            history=StoreHistory(self._adapters, uid),
            count=step.count,
            total=step.total,
            memory=self._adapters.store.memory(uid),
            timeout_seconds=self._timeout,
        )
        return _reply(self._adapters.gateway.suggest(call))

    def _release_algorithm(self, step: do.ReleaseAlgorithm) -> None:
        self._adapters.gateway.forget(step.experiment.metadata.uid or "")

    # Resources.

    def _create_suggestion(self, step: do.CreateSuggestion) -> None:
        self._enqueue_own(self._adapters.store.create(step.suggestion))

    def _request_proposals(self, step: do.RequestProposals) -> None:
        self._enqueue_own(self._adapters.store.replace_spec(step.suggestion))

    def _create_trial(self, step: do.CreateTrial) -> None:
        trial = trial_of(
            step.experiment,
            step.proposal,
            template=self._template(step.experiment),
            now=self._adapters.clock.now(),
        )
        self._enqueue_own(self._adapters.store.create_trial(trial))

    def _template(self, experiment: Experiment) -> CompiledTemplate:
        key = (experiment.metadata.uid, experiment.metadata.generation)
        found = self._templates.get(key)
        if found is None:
            found = compile_template(experiment.spec.trial_template or TrialTemplate())
            kept = list(self._templates.items())[-_TEMPLATES_KEPT:]
            self._templates = {**dict(kept), key: found}
        return found

    def _request_stop(self, step: do.RequestStop) -> None:
        store = self._adapters.store
        trial = store.find(Trial, step.namespace, step.trial_name)
        if trial is None or trial.metadata.uid != step.trial_uid or trial.status.stop_request is not None:
            return
        if not trial_phase(trial.status.conditions).is_active:
            return
        stored = store.replace_status(trial.but(status=trial.status.but(stop_request=step.request)))
        logger.info("%s/%s: %s", step.namespace, step.trial_name, step.request.message)
        self._enqueue_own(stored)

    def _enqueue_own(self, stored: Resource) -> None:
        self._wrote(stored.metadata.resource_version)
        self._enqueue(stored.key)

    # Runs and metrics.

    def _start_run(self, step: do.StartRun) -> None:
        self._adapters.runner.start(step.trial)
        self._follow_metrics(do.FollowMetrics(step.trial))

    def _drop_metrics(self, step: do.DropMetrics) -> None:
        self._adapters.collector.detach(step.trial)
        self._adapters.observations.drop(step.trial.metadata.uid or "")

    def _follow_metrics(self, step: do.FollowMetrics) -> None:
        self._adapters.collector.attach(step.trial, self._adapters.runner.outputs(step.trial))

    def _stop_run(self, step: do.StopRun) -> None:
        self._adapters.runner.stop(step.trial)

    def _drain_metrics(self, step: do.DrainMetrics) -> None:
        self._adapters.collector.finish(step.trial)

    def _release_run(self, step: do.ReleaseRun) -> None:
        self._adapters.collector.detach(step.trial)
        self._adapters.runner.remove(step.trial)

    # Removal.

    def _delete_owned(self, step: do.DeleteOwned) -> None:
        meta = step.experiment.metadata
        self._adapters.store.delete(Experiment, meta.namespace, meta.name)

    def _remove_trial(self, step: do.RemoveTrial) -> None:
        self._release_run(do.ReleaseRun(step.trial))
        self._adapters.observations.drop(step.trial.metadata.uid or "")
        self._adapters.store.remove(step.trial)

    def _remove_suggestion(self, step: do.RemoveSuggestion) -> None:
        self._adapters.store.remove(step.suggestion)
        self._enqueue(("Experiment", *step.suggestion.key[1:]))

    def _remove_experiment(self, step: do.RemoveExperiment) -> None:
        self._adapters.gateway.forget(step.experiment.metadata.uid or "")
        self._adapters.store.remove(step.experiment)
        logger.info("%s/%s: Experiment removed", *step.experiment.key[1:])


def _reply(reply: Reply) -> AlgorithmReply:
    return AlgorithmReply(
        proposals=tuple(
            Proposed(
                assignments=_pairs(proposal.assignment),
                name=proposal.trial_name,
                labels=proposal.labels,
            )
            for proposal in reply.proposals
        ),
        memory=reply.memory,
        is_exhausted=reply.exhausted,
        settings=_pairs(reply.settings),
        note=reply.note,
    )


def _pairs(texts: Mapping[str, str]) -> tuple[NameValue, ...]:
    # Gateways hand over verified replies: copies, which are smaller, need no validation.
    return tuple([_PAIR.but(name=name, value=value) for name, value in texts.items()])
