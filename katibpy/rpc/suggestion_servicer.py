"""The Suggestion service over the algorithms of this process."""

from __future__ import annotations

import logging
from collections.abc import Callable

import grpc

from katibpy import __version__
from katibpy.algo.algorithm import Algorithm, Reads, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.hosting import HostedExperiment, algorithm_named
from katibpy.api.experiment import Experiment
from katibpy.errors import InvalidSettings, ServiceUnavailable, Unsupported
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_experiment import experiment_from_pb
from katibpy.rpc.convert_reply import reply_to_pb, without_memory_setting
from katibpy.rpc.convert_trial import line_from_pb, lines_from_katib
from katibpy.rpc.error_codes import HistoryBaseMissing
from katibpy.rpc.handlers import Caller, Method, handlers_of
from katibpy.rpc.held_experiments import Held, HeldExperiments

_LOG = logging.getLogger(__name__)


class SuggestionServicer:
    """Answers for every algorithm that `find_algorithm` finds, for callers with and without extensions.

    Nothing that is kept between calls matters to the replies. Calls of one Experiment wait for each other;
    see `HeldExperiments` for the locks.
    """

    def __init__(
        self,
        *,
        find_algorithm: Callable[[str], Algorithm] = algorithm_named,
        held: HeldExperiments | None = None,
    ) -> None:
        """Prepares the service.

        Args:
            find_algorithm: gives the algorithm of a name, or raises InputError or MissingExtra.
            held: where Experiments are kept between calls.
        """
        self._find_algorithm = find_algorithm
        self._held = HeldExperiments() if held is None else held

    def handlers(self) -> tuple[grpc.GenericRpcHandler[object, object], ...]:
        """Handlers for a gRPC server, under both names of the service."""
        return handlers_of(
            "Suggestion",
            {
                "GetSuggestions": Method(
                    self.get_suggestions, pb.GetSuggestionsRequest, pb.GetSuggestionsReply
                ),
                "ValidateAlgorithmSettings": Method(
                    self.validate, pb.ValidateAlgorithmSettingsRequest, pb.ValidateAlgorithmSettingsReply
                ),
                "Describe": Method(self.describe, pb.DescribeRequest, pb.DescribeReply),
            },
        )

    def validate(
        self, request: pb.ValidateAlgorithmSettingsRequest, caller: Caller
    ) -> pb.ValidateAlgorithmSettingsReply:
        """Checks settings and space."""
        self._host(request.experiment)
        return pb.ValidateAlgorithmSettingsReply()

    def describe(self, request: pb.DescribeRequest, caller: Caller) -> pb.DescribeReply:
        """Says what the algorithm of this Experiment needs to be told."""
        hosted = self._host(request.experiment)
        return pb.DescribeReply(
            reads=hosted.reads.value,
            algorithm=hosted.algorithm.name,
            history_differences=True,
            version=__version__,
        )

    def get_suggestions(self, request: pb.GetSuggestionsRequest, caller: Caller) -> pb.GetSuggestionsReply:
        """Proposes assignments."""
        if request.current_request_number < 1:
            raise InvalidSettings(
                [f"current_request_number must be at least 1, got {request.current_request_number}"]
            )
        uid = request.experiment.uid
        with self._held.turn(uid or f"name:{request.experiment.name}", caller) as held:
            stop_if_cancelled()
            hosted, memory = self._hosted(held, request) if uid else self._host_all(request)
            reply = hosted.ask(
                count=request.current_request_number,
                total=request.total_request_number or len(request.trials) + request.current_request_number,
                memory=request.memory or memory,
            )
        _LOG.debug(
            "Experiment %s: %s proposes %d of %d",
            request.experiment.name,
            hosted.algorithm.name,
            len(reply.proposals),
            request.current_request_number,
        )
        if not request.extended:
            _check_for_katib(reply, hosted.algorithm.name)
        return reply_to_pb(reply, extended=request.extended, algorithm_name=hosted.algorithm.name)

    def _hosted(self, held: Held, request: pb.GetSuggestionsRequest) -> tuple[HostedExperiment, bytes | None]:
        """The kept Experiment, brought up to date."""
        fingerprint = request.experiment.SerializeToString(deterministic=True)
        memory = None
        if held.hosted is None or held.fingerprint != fingerprint:
            experiment, memory = _read(request.experiment)
            algorithm = self._algorithm(experiment)
            if held.hosted is None or held.hosted.algorithm is not algorithm:
                held.hosted = HostedExperiment(algorithm, experiment)
            else:
                held.hosted.adopt(experiment)
            held.fingerprint = b"" if memory is not None else fingerprint
        hosted = held.hosted
        if hosted.reads is not Reads.NOTHING:
            _merge(hosted, request)
        return hosted, memory

    def _host_all(self, request: pb.GetSuggestionsRequest) -> tuple[HostedExperiment, bytes | None]:
        """An Experiment without a uid, which nothing can be kept for: a later one may have its name."""
        if request.history_base:
            raise HistoryBaseMissing("differences need the Experiment's uid")
        experiment, memory = _read(request.experiment)
        hosted = HostedExperiment(self._algorithm(experiment), experiment)
        if hosted.reads is not Reads.NOTHING:
            _merge(hosted, request)
        return hosted, memory

    def _host(self, message: pb.Experiment) -> HostedExperiment:
        experiment, _ = _read(message)
        return HostedExperiment(self._algorithm(experiment), experiment)

    def _algorithm(self, experiment: Experiment) -> Algorithm:
        algorithm = experiment.spec.algorithm
        return self._find_algorithm(algorithm.algorithm_name if algorithm else "")


def _read(message: pb.Experiment) -> tuple[Experiment, bytes | None]:
    try:
        experiment = experiment_from_pb(message)
    except ValueError as error:
        raise InvalidSettings([f"the Experiment cannot be read: {error}"]) from error
    return without_memory_setting(experiment)


def _merge(hosted: HostedExperiment, request: pb.GetSuggestionsRequest) -> None:
    history = hosted.history
    if not request.extended:
        history.replace(lines_from_katib(request.trials))
        return
    lines = map(line_from_pb, request.trials)
    if not request.history_base:
        history.replace(lines, token=request.history_token)
    elif request.history_base == history.token:
        history.merge(lines, removed=request.removed_trials, token=request.history_token)
    elif request.history_token != history.token:
        # An equal target means that this difference was applied before its reply got lost.
        raise HistoryBaseMissing(
            f"history {request.history_base} is not held for Experiment {request.experiment.name}; send all"
        )
    # Without a token nobody counts on what is held afterwards.
    if request.history_token and 0 <= request.history_size != len(history):
        held, history.token = len(history), ""
        raise HistoryBaseMissing(
            f"Experiment {request.experiment.name} has {request.history_size} history entries but"
            f" {held} are held; send all"
        )


def _check_for_katib(reply: Reply, name: str) -> None:
    # Katib's controller drops a reply of any other length, so an empty one can at least say why it is empty.
    if reply.proposals:
        return
    if reply.exhausted:
        raise Unsupported(
            reply.note or f"algorithm {name} has proposed its whole search space; lower spec.maxTrialCount"
        )
    raise ServiceUnavailable(reply.note or f"algorithm {name} waits for results of running trials")
