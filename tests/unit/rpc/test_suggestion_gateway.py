from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from katibpy.algo.algorithm import Proposal, Reads, Reply
from katibpy.algo.history import Outcome
from katibpy.core.phases import TrialPhase
from katibpy.errors import (
    BadReply,
    DeadlineExceeded,
    InvalidSettings,
    ServiceError,
    ServiceUnavailable,
)
from katibpy.launchers.fixed import FixedLauncher
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.held_experiments import HeldExperiments
from katibpy.rpc.server import ServiceServer
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.katib_peer import Answer, KatibPeer, assignments
from tests.unit.rpc.parts import (
    Endless,
    Ledger,
    Scripted,
    call,
    experiment,
    finder,
    reaching,
    serving,
    usual_reply,
)

SCRIPTED = experiment("scripted")


def filled(count: int) -> Ledger:
    ledger = Ledger()
    for number in range(count):
        ledger.put(number, loss=str(number))
    return ledger


def test_only_what_changed_is_read_and_sent() -> None:
    algorithm = Scripted()
    ledger = filled(3)
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        gateway.suggest(call(SCRIPTED, ledger))
        ledger.put(3, None)
        ledger.put(1, TrialPhase.KILLED)
        gateway.suggest(call(SCRIPTED, ledger))
        ledger.remove(0)
        ledger.put(3, TrialPhase.RUNNING)
        gateway.suggest(call(SCRIPTED, ledger))
    assert ledger.reads == [None, "3", "5"]
    assert [entry.outcome for entry in algorithm.shown[1]] == [
        Outcome.SUCCEEDED,
        Outcome.KILLED,
        Outcome.SUCCEEDED,
        Outcome.PROPOSED,
    ]
    assert [(entry.name, entry.outcome) for entry in algorithm.shown[2]] == [
        ("trial-1", Outcome.KILLED),
        ("trial-2", Outcome.SUCCEEDED),
        ("trial-3", Outcome.ACTIVE),
    ]


def test_a_service_that_lost_the_history_is_sent_all_of_it_once() -> None:
    algorithm, held, ledger = Scripted(), HeldExperiments(), filled(2)
    servicer = SuggestionServicer(find_algorithm=finder(algorithm), held=held)
    with serving(servicer) as address, reaching(address) as gateway:
        gateway.suggest(call(SCRIPTED, ledger))
        held.drop_all()
        ledger.put(2, loss="2")
        gateway.suggest(call(SCRIPTED, ledger))
        ledger.put(3, loss="3")
        gateway.suggest(call(SCRIPTED, ledger))
    assert ledger.reads == [None, "2", None, "3"]
    assert [len(history) for history in algorithm.shown] == [2, 3, 4]


def test_a_forgotten_experiment_starts_over() -> None:
    ledger = filled(1)
    with (
        serving(SuggestionServicer(find_algorithm=finder(Scripted()))) as address,
        reaching(address) as gateway,
    ):
        gateway.suggest(call(SCRIPTED, ledger))
        gateway.forget("uid-1")
        gateway.suggest(call(SCRIPTED, ledger))
    assert ledger.reads == [None, None]


def test_an_algorithm_that_reads_nothing_leaves_the_store_alone() -> None:
    ledger, algorithm = filled(3), Scripted(Reads.NOTHING)
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        gateway.suggest(call(SCRIPTED, ledger, total=9))
    assert ledger.reads == []
    assert algorithm.shown[0].total == 7


def test_an_algorithm_that_reads_results_is_not_sent_the_rest() -> None:
    ledger, algorithm = filled(2), Scripted(Reads.FINISHED)
    ledger.put(2, None)
    ledger.put(3, TrialPhase.RUNNING)
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        gateway.suggest(call(SCRIPTED, ledger))
        ledger.put(2, TrialPhase.RUNNING)
        ledger.put(3, loss="3")
        gateway.suggest(call(SCRIPTED, ledger))
    assert [[entry.number for entry in history] for history in algorithm.shown] == [[0, 1], [0, 1, 3]]
    assert ledger.reads == [None, "4"]


def test_the_whole_reply_comes_back() -> None:
    reply = Reply(
        (Proposal({"lr": "0.5", "kind": "a"}, "named", {"rung": "1"}),),
        memory=b"\x00",
        exhausted=True,
        settings={"eta": "3"},
        note="because",
    )
    algorithm = Scripted(answer=lambda count: reply)
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        assert gateway.suggest(call(SCRIPTED, memory=b"before")) == reply
    assert algorithm.memories == [b"before"]


def test_without_a_uid_everything_is_sent_each_time() -> None:
    algorithm, ledger = Scripted(), filled(2)
    nameless = experiment("scripted", uid="")
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        for _ in range(2):
            gateway.suggest(call(nameless, ledger))
    assert ledger.reads == [None, None]
    assert [len(history) for history in algorithm.shown] == [2, 2]


def test_all_problems_of_the_settings_come_back_one_by_one() -> None:
    wrong = experiment(settings={"random_state": "-1", "colour": "red"})
    with serving(SuggestionServicer()) as address, reaching(address) as gateway:
        gateway.validate(experiment(), timeout_seconds=4)
        with pytest.raises(InvalidSettings) as refused:
            gateway.validate(wrong, timeout_seconds=4)
        with pytest.raises(InvalidSettings) as again:
            gateway.suggest(call(wrong))
    assert len(refused.value.problems) == 2
    assert again.value.problems == refused.value.problems


def test_an_algorithm_without_address_is_refused_for_good() -> None:
    gateway = GrpcSuggestionGateway(FixedLauncher({"scripted": "127.0.0.1:1"}))
    with pytest.raises(InvalidSettings, match="did you mean 'scripted'"):
        gateway.validate(experiment("scriptd"), timeout_seconds=1)


def test_nobody_at_the_address_is_worth_another_try() -> None:
    with reaching("127.0.0.1:1") as gateway, pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1"):
        gateway.suggest(call(SCRIPTED))


def test_a_deadline_is_kept() -> None:
    endless = Endless()
    with serving(SuggestionServicer(find_algorithm=finder(endless))) as address, reaching(address) as gateway:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            gateway.suggest(call(experiment("endless"), seconds=0.4))
        assert time.monotonic() - began < 2
        assert endless.ended.wait(2)
        with pytest.raises(DeadlineExceeded):
            gateway.suggest(call(experiment("endless"), seconds=0))


def test_a_failing_algorithm_is_a_service_error_with_its_words() -> None:
    def fail(count: int) -> Reply:
        raise ZeroDivisionError("division by zero")

    servicer = SuggestionServicer(find_algorithm=finder(Scripted(answer=fail)))
    with (
        serving(servicer) as address,
        reaching(address) as gateway,
        pytest.raises(ServiceError, match="ZeroDivisionError: division by zero") as failure,
    ):
        gateway.suggest(call(SCRIPTED))
    assert type(failure.value) is ServiceError


def test_a_service_that_comes_back_at_its_address_is_found_again(tmp_path: Path) -> None:
    address, ledger = f"unix:{tmp_path}/s", filled(2)
    with reaching(address) as gateway:
        with ServiceServer(SuggestionServicer().handlers(), address=address):
            first = gateway.suggest(call(experiment("tpe", seed=1), ledger))
        with ServiceServer(SuggestionServicer().handlers(), address=address):
            assert gateway.suggest(call(experiment("tpe", seed=1), ledger)) == first


# --- peers without extensions -------------------------------------------------------------------


def test_a_katib_peer_is_sent_what_katib_sends() -> None:
    peer, ledger = KatibPeer(), Ledger()
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    started = replace(ledger.put(0, loss="0.25"), start_time=moment, completion_time=moment)
    ledger.records["trial-0"] = started
    ledger.put(1, TrialPhase.METRICS_UNAVAILABLE)
    ledger.put(2, TrialPhase.EARLY_STOPPED)
    ledger.put(3, TrialPhase.EARLY_STOPPED, loss="0.5")
    ledger.put(4, TrialPhase.RUNNING)
    ledger.put(5, TrialPhase.PENDING)
    ledger.put(6, None)
    with peer.serving() as address, reaching(address) as gateway:
        reply = gateway.suggest(call(SCRIPTED, ledger, total=9, memory=b"ignored"))
    assert reply == usual_reply(2)
    request = peer.requests[0]
    assert (request.current_request_number, request.total_request_number) == (2, 9)
    assert (request.extended, request.memory, request.history_token) == (False, b"", "")
    assert [(trial.name, trial.status.condition) for trial in request.trials] == [
        ("trial-0", pb.TrialStatus.SUCCEEDED),
        ("trial-3", pb.TrialStatus.EARLYSTOPPED),
        ("trial-4", pb.TrialStatus.RUNNING),
        ("trial-5", pb.TrialStatus.CREATED),
    ]
    first = request.trials[0]
    assert (first.spec.objective.type, first.spec.objective.objective_metric_name) == (pb.MINIMIZE, "loss")
    assert first.status.start_time == "2026-01-31T12:00:00Z"
    assert [(metric.name, metric.value) for metric in first.status.observation.metrics] == [("loss", "0.25")]


def test_a_katib_peer_gets_all_trials_each_time() -> None:
    peer, ledger = KatibPeer(), filled(2)
    with peer.serving() as address, reaching(address) as gateway:
        for _ in range(2):
            gateway.suggest(call(SCRIPTED, ledger))
            ledger.put(len(ledger.records), loss="1")
    assert [len(request.trials) for request in peer.requests] == [2, 3]
    assert ledger.reads == [None, None]


def test_settings_of_a_katib_peer_come_back_to_be_sent_on() -> None:
    def answer(request: pb.GetSuggestionsRequest) -> pb.GetSuggestionsReply:
        reply = assignments(request.current_request_number)
        reply.algorithm.algorithm_settings.add(name="current_s", value="2")
        return reply

    with KatibPeer(answer).serving() as address, reaching(address) as gateway:
        reply = gateway.suggest(call(SCRIPTED))
    assert (dict(reply.settings), reply.memory, reply.exhausted) == ({"current_s": "2"}, None, False)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(lambda request: assignments(1), "exactly 2 proposals, got 1", id="too few"),
        pytest.param(lambda request: assignments(3), "exactly 2 proposals, got 3", id="too many"),
        pytest.param(lambda request: assignments(2, lr="1"), "parameter kind is missing", id="incomplete"),
        pytest.param(
            lambda request: assignments(2, lr="1", kind="a", depth="2"),
            "there is no parameter depth",
            id="unknown",
        ),
    ],
)
def test_a_bad_reply_of_a_katib_peer_is_refused(answer: Answer, said: str) -> None:
    with (
        KatibPeer(answer).serving() as address,
        reaching(address) as gateway,
        pytest.raises(BadReply, match=said),
    ):
        gateway.suggest(call(SCRIPTED))


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(KatibPeer(), None, id="accepts"),
        pytest.param(KatibPeer(has_validation=False), None, id="has no validation"),
        pytest.param(
            KatibPeer(refusal=(grpc.StatusCode.INVALID_ARGUMENT, "bad eta")), InvalidSettings, id="refuses"
        ),
        pytest.param(KatibPeer(refusal=(grpc.StatusCode.UNKNOWN, "boom")), InvalidSettings, id="fails"),
        pytest.param(KatibPeer(refusal=(grpc.StatusCode.INTERNAL, "boom")), ServiceError, id="internal"),
        pytest.param(
            KatibPeer(refusal=(grpc.StatusCode.UNAVAILABLE, "soon")), ServiceUnavailable, id="not yet"
        ),
    ],
)
def test_the_validation_of_a_katib_peer_is_read_as_katib_reads_it(
    peer: KatibPeer, expected: type[Exception] | None
) -> None:
    with peer.serving() as address, reaching(address) as gateway:
        if expected is None:
            gateway.validate(SCRIPTED, timeout_seconds=4)
            return
        with pytest.raises(expected) as failure:
            gateway.validate(SCRIPTED, timeout_seconds=4)
        assert type(failure.value) is expected


def test_our_own_service_seen_by_katibs_controller_keeps_its_memory_in_the_settings() -> None:
    seen: list[bytes | None] = []

    def answer(count: int) -> Reply:
        return Reply(usual_reply(count).proposals, memory=bytes([len(seen)]))

    algorithm = Scripted(answer=answer)
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        peer = KatibPeer(lambda request: forward(address, request))
        with peer.serving() as front, reaching(front) as gateway:
            settings: dict[str, str] = {}
            for _ in range(3):
                reply = gateway.suggest(call(experiment("scripted", uid="", settings=settings)))
                settings |= reply.settings
                seen.append(algorithm.memories[-1])
    assert seen == [None, b"\x00", b"\x01"]


def forward(address: str, request: pb.GetSuggestionsRequest) -> pb.GetSuggestionsReply:
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            "/api.v1.beta1.Suggestion/GetSuggestions",
            request_serializer=pb.GetSuggestionsRequest.SerializeToString,
            response_deserializer=pb.GetSuggestionsReply.FromString,
        )
        reply: pb.GetSuggestionsReply = method(request, timeout=4)
        return reply
