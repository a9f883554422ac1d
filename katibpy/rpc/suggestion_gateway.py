"""Reaches algorithm services over gRPC: ours, and Katib's own images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from katibpy.algo.algorithm import Reads, Reply
from katibpy.api.experiment import Experiment, Objective
from katibpy.core.endpoints import Endpoint
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.errors import InputError, InvalidSettings, ServiceUnavailable
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.ports import Launcher, SuggestionCall
from katibpy.rpc.checked_reply import checked_reply
from katibpy.rpc.convert_experiment import experiment_to_pb, objective_to_pb
from katibpy.rpc.convert_reply import reply_from_pb
from katibpy.rpc.convert_trial import trial_to_pb
from katibpy.rpc.error_codes import HistoryBaseMissing, Unexplained, Unimplemented
from katibpy.rpc.links import Link, Links, Peer

T = TypeVar("T")

_UNCOUNTED = -1
"""History size of a difference that was filtered, so that only the service could count."""

_PAUSE_SECONDS = 0.05


class GrpcSuggestionGateway:
    """A SuggestionGateway over gRPC; thread-safe, its one table is guarded in `Links`.

    A service that knows our extensions is sent what changed since its last reply; any other is sent what
    Katib's controller would send. A call that finds the service gone is tried once more where the launcher
    says it is now: the calls are safe to repeat.
    """

    def __init__(self, launcher: Launcher, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepares the gateway; nothing is called yet.

        Args:
            launcher: knows where an algorithm is served.
            monotonic: seconds that never run backwards.
        """
        self._launcher = launcher
        self._monotonic = monotonic
        self._links = Links()

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        """Asks the service whether it accepts settings and space, and reads the answer as Katib does."""
        message = experiment_to_pb(experiment)
        request = pb.ValidateAlgorithmSettingsRequest(experiment=message)

        def ask(link: Link, deadline: float) -> None:
            peer = self._peer(link, message, deadline)
            try:
                link.validate(request, self._left(deadline))
            except Unimplemented:
                return
            except Unexplained as error:
                if peer.is_extended:
                    raise
                raise InvalidSettings([str(error)]) from error

        self._with_link(experiment, timeout_seconds, ask)

    def suggest(self, call: SuggestionCall) -> Reply:
        """Asks the service for proposals."""
        message = experiment_to_pb(call.experiment)

        def ask(link: Link, deadline: float) -> Reply:
            peer = self._peer(link, message, deadline)
            if not peer.is_extended:
                return self._ask_katib(link, call, message, deadline)
            return self._ask_extended(link, peer, call, message, deadline)

        return self._with_link(call.experiment, call.timeout_seconds, ask)

    def has_extensions(self, experiment: Experiment, *, timeout_seconds: float) -> bool:
        """Whether the service of the Experiment's algorithm knows what Katib's contract lacks.

        Raises:
            InvalidSettings: it refuses the Experiment.
            ServiceError: it could not answer.
        """
        message = experiment_to_pb(experiment)

        def ask(link: Link, deadline: float) -> bool:
            return self._peer(link, message, deadline).is_extended

        return self._with_link(experiment, timeout_seconds, ask)

    def forget(self, experiment_uid: str) -> None:
        """Drops what is kept for the Experiment, and ends a service that was started for it alone."""
        self._links.forget(experiment_uid)
        self._launcher.release(experiment_uid)

    def close(self) -> None:
        """Ends all channels."""
        self._links.close()

    def _with_link(
        self, experiment: Experiment, timeout_seconds: float, ask: Callable[[Link, float], T]
    ) -> T:
        deadline = self._monotonic() + timeout_seconds
        endpoint = self._endpoint(experiment, deadline)
        link = self._links.to(endpoint)
        try:
            return ask(link, self._until(endpoint, deadline))
        except ServiceUnavailable:
            self._links.drop(link)
            if self._left(deadline) <= _PAUSE_SECONDS:
                raise
        # A killed service may still look alive to its launcher for a moment.
        time.sleep(_PAUSE_SECONDS)
        endpoint = self._endpoint(experiment, deadline)
        try:
            return ask(self._links.to(endpoint), self._until(endpoint, deadline))
        except ServiceUnavailable as error:
            if not endpoint.note:
                raise
            raise ServiceUnavailable(f"{error}; before, {endpoint.note}") from error

    def _until(self, endpoint: Endpoint, deadline: float) -> float:
        """Until when a call that begins now may take."""
        own = endpoint.call_seconds
        return deadline if own is None else self._monotonic() + own

    def _endpoint(self, experiment: Experiment, deadline: float) -> Endpoint:
        algorithm = experiment.spec.algorithm
        name = algorithm.algorithm_name if algorithm else ""
        try:
            return self._launcher.endpoint(
                name, timeout_seconds=self._left(deadline), experiment_uid=experiment.metadata.uid or ""
            )
        except InputError as error:
            raise InvalidSettings([str(error)]) from error

    def _peer(self, link: Link, experiment: pb.Experiment, deadline: float) -> Peer:
        known = link.peers.get(experiment.uid)
        if known is not None:
            return known
        try:
            reply = link.describe(pb.DescribeRequest(experiment=experiment), self._left(deadline))
            peer = Peer(True, _reads_of(reply.reads), takes_differences=reply.history_differences)
        except (Unimplemented, Unexplained):
            # A service that hands all methods to one function may fail at a name that it does not expect.
            peer = Peer(False, Reads.ALL)
        if experiment.uid:
            link.peers[experiment.uid] = peer
        return peer

    def _ask_extended(
        self, link: Link, peer: Peer, call: SuggestionCall, experiment: pb.Experiment, deadline: float
    ) -> Reply:
        request = pb.GetSuggestionsRequest(
            experiment=experiment,
            current_request_number=call.count,
            total_request_number=call.total,
            extended=True,
            memory=call.memory or b"",
        )
        if peer.reads is Reads.NOTHING:
            message = link.get_suggestions(request, self._left(deadline))
        else:
            since = peer.token if peer.takes_differences else None
            try:
                token = _add_history(request, call.history.read(since), peer.reads)
                message = link.get_suggestions(request, self._left(deadline))
            except HistoryBaseMissing:
                token = _add_history(request, call.history.read(None), peer.reads)
                message = link.get_suggestions(request, self._left(deadline))
            peer.token = token
        reply = reply_from_pb(message)
        return checked_reply(reply, call.experiment, wanted=call.count, exactly=not message.extended)

    def _ask_katib(
        self, link: Link, call: SuggestionCall, experiment: pb.Experiment, deadline: float
    ) -> Reply:
        records = sorted(call.history.read(None).records, key=lambda record: record.number)
        objective = objective_to_pb(call.experiment.spec.objective or Objective())
        request = pb.GetSuggestionsRequest(
            experiment=experiment,
            trials=[trial_to_pb(_as_katib(record), objective) for record in records if _katib_sends(record)],
            current_request_number=call.count,
            total_request_number=call.total,
        )
        reply = reply_from_pb(link.get_suggestions(request, self._left(deadline)))
        return checked_reply(reply, call.experiment, wanted=call.count, exactly=True)

    def _left(self, deadline: float) -> float:
        return max(deadline - self._monotonic(), 0.0)


def _add_history(request: pb.GetSuggestionsRequest, delta: HistoryDelta, reads: Reads) -> str:
    """Puts the difference into the request and returns the token of the history after it."""
    sent = [
        record
        for record in delta.records
        if reads is Reads.ALL or (record.phase is not None and not record.phase.is_active)
    ]
    is_counted = reads is Reads.ALL or delta.base is None
    del request.trials[:]
    del request.removed_trials[:]
    request.trials.extend(map(trial_to_pb, sent))
    request.removed_trials.extend(delta.removed)
    request.history_base = delta.base or ""
    request.history_token = delta.token
    request.history_size = (delta.size if reads is Reads.ALL else len(sent)) if is_counted else _UNCOUNTED
    return delta.token


def _reads_of(text: str) -> Reads:
    try:
        return Reads(text)
    except ValueError:
        # A newer service that reads in a way we do not know is on the safe side with everything.
        return Reads.ALL


def _katib_sends(record: TrialRecord) -> bool:
    if record.phase is None or record.phase is TrialPhase.METRICS_UNAVAILABLE:
        return False
    return record.phase is not TrialPhase.EARLY_STOPPED or bool(record.metrics)


def _as_katib(record: TrialRecord) -> TrialRecord:
    # Katib's times have whole seconds, and its services parse them as such.
    start, end = record.start_time, record.completion_time
    return replace(
        record,
        start_time=start and start.replace(microsecond=0),
        completion_time=end and end.replace(microsecond=0),
    )
