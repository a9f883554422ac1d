"""Reconciles a Suggestion: asks the algorithm what the planner wants to know, and saves what it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from katibpy.api.suggestion import Suggestion, SuggestionStatus
from katibpy.controller.adapters import Adapters
from katibpy.controller.backoff import Backoff
from katibpy.controller.gather import gather_suggestion
from katibpy.controller.key_queue import KeyQueue
from katibpy.controller.perform import Performer
from katibpy.core import instructions as do
from katibpy.core.plan_suggestion import plan_suggestion
from katibpy.core.views import Refusal, ServiceFailure, SuggestionView
from katibpy.errors import AlreadyExists, Conflict, InvalidSettings, ServiceError
from katibpy.ports import Key

logger = logging.getLogger(__name__)

_Plan: TypeAlias = do.Plan[SuggestionStatus]
_Question: TypeAlias = do.ValidateSettings | do.AskAlgorithm


class Suggesting:
    """The part of the controller that has to do with Suggestions.

    Several threads may reconcile at once, each its own Suggestion; the backoff has a lock of its own.
    """

    def __init__(
        self,
        adapters: Adapters,
        *,
        performer: Performer,
        queue: KeyQueue,
        wrote: Callable[[str | None], None],
    ) -> None:
        """Works on the controller's queue.

        Args:
            adapters: the ports.
            performer: performs what is no question.
            queue: gets the keys of what should be looked at next.
            wrote: called with each resource version made here.
        """
        self._adapters = adapters
        self._performer = performer
        self._queue = queue
        self._wrote = wrote
        self._backoff = Backoff(adapters.clock)

    def forget(self, key: Key) -> None:
        """The Suggestion is gone, and its failures with it."""
        self._backoff.succeeded(key)

    def reconcile(self, suggestion: Suggestion) -> None:
        """Brings the Suggestion a step further. Raises what the ports raise."""
        key, store = suggestion.key, self._adapters.store
        view = gather_suggestion(self._adapters, suggestion)
        plan = plan_suggestion(view)
        if _question(plan) is not None:
            wait = self._backoff.seconds_left(key)
            if wait > 0:
                self._queue.add_after(key, wait)
                return
            view, plan = self._answered(view, plan)
        try:
            self._act(view, plan)
        except AlreadyExists as err:
            # The algorithm gave a name that a trial or a proposal has: as useless as no reply, and told so.
            if view.reply is None:
                raise
            attempts = self._backoff.failed(key)
            logger.warning("%s/%s: algorithm service: %s", *key[1:], err)
            failure = ServiceFailure(f"its reply cannot be used: {err}", attempts)
            view = replace(view, reply=None, failure=failure)
            self._act(view, plan_suggestion(view))
            return
        except Conflict:
            current = store.find(Suggestion, *key[1:])
            if view.reply is None or current is None or not _is_only_edited(suggestion, current):
                raise
            # More or less is wanted since the algorithm was asked. Asking it again for that could go on
            # for as long as trials end faster than it thinks.
            view = replace(view, suggestion=current)
            self._act(view, plan_suggestion(view))
        if view.failure is None:
            self._backoff.succeeded(key)

    def _answered(self, view: SuggestionView, plan: _Plan) -> tuple[SuggestionView, _Plan]:
        """The view with answers to what the planner wants to know, and the plan that follows from them."""
        key = view.suggestion.key
        for _ in range(2):
            question = _question(plan)
            if question is None:
                break
            try:
                if isinstance(question, do.ValidateSettings):
                    self._performer.validate_settings(question)
                    view = replace(view, is_accepted=True)
                else:
                    view = replace(view, reply=self._performer.ask_algorithm(question))
            except InvalidSettings as err:
                view = replace(view, refusal=Refusal(str(err)))
            except ServiceError as err:
                if self._queue.is_closed:
                    # The question was ended with everything else; that is no failure of the service.
                    return view, do.Plan(view.suggestion.status)
                attempts = self._backoff.failed(key)
                logger.warning("%s/%s: algorithm service: %s", *key[1:], err)
                view = replace(view, failure=ServiceFailure(str(err), attempts))
            plan = plan_suggestion(view)
        return view, plan

    def _act(self, view: SuggestionView, plan: _Plan) -> None:
        suggestion, store = view.suggestion, self._adapters.store
        changed = suggestion.but(status=plan.status)
        has_news, is_written = plan.status != suggestion.status, False
        for instruction in plan.instructions:
            if isinstance(instruction, do.SaveReply):
                saved = store.save_reply(changed, instruction.proposals, memory=instruction.memory)
                self._note_own(suggestion, saved)
                has_news = bool(instruction.proposals) or plan.status.exhausted
                is_written = True
            else:
                self._performer.perform(instruction)
                is_written |= isinstance(instruction, do.RemoveSuggestion)
        if has_news and not is_written:
            self._note_own(suggestion, store.replace_status(changed))
        if has_news:
            self._queue.add(("Experiment", *suggestion.key[1:]))
        if plan.again_after_seconds is not None:
            if view.failure is not None:
                self._backoff.postpone(suggestion.key, plan.again_after_seconds)
            self._queue.add_after(suggestion.key, plan.again_after_seconds)

    def _note_own(self, given: Suggestion, stored: Suggestion) -> None:
        if stored.metadata.resource_version != given.metadata.resource_version:
            self._wrote(stored.metadata.resource_version)


def _question(plan: _Plan) -> _Question | None:
    """What the planner wants to know of the algorithm service."""
    for step in plan.instructions:
        if isinstance(step, do.ValidateSettings | do.AskAlgorithm):
            return step
    return None


def _is_only_edited(before: Suggestion, now: Suggestion) -> bool:
    """Whether nothing but the spec of the Suggestion has changed."""
    marks = (before.metadata.uid, before.metadata.deletion_timestamp)
    return marks == (now.metadata.uid, now.metadata.deletion_timestamp) and before.status == now.status
