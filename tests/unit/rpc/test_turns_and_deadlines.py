from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.error_codes import status_of
from katibpy.rpc.held_experiments import HeldExperiments
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.parts import Endless, Scripted, experiment, finder, serving
from tests.unit.rpc.raw_calls import SUGGESTION, asked, done, suggest


def test_the_deadline_reaches_the_algorithm() -> None:
    algorithm = Endless()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, asked(experiment("endless")), seconds=0.3)
        assert status_of(failure.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        assert algorithm.ended.wait(2)


def asking(channel: grpc.Channel) -> Any:
    return channel.unary_unary(
        f"/{SUGGESTION}/GetSuggestions",
        request_serializer=pb.GetSuggestionsRequest.SerializeToString,
        response_deserializer=pb.GetSuggestionsReply.FromString,
    )


def test_work_ends_when_the_caller_has_gone() -> None:
    algorithm = Endless()
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        grpc.insecure_channel(address) as channel,
    ):
        running = asking(channel).future(asked(experiment("endless")), timeout=60)
        assert algorithm.began.wait(2)
        running.cancel()
        assert algorithm.ended.wait(2)


def test_a_second_call_of_one_experiment_waits_for_its_own_deadline_only() -> None:
    endless, scripted = Endless(), Scripted()
    with (
        serving(SuggestionServicer(find_algorithm=finder(endless, scripted))) as address,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(suggest, address, asked(experiment("endless")), seconds=2.0)
        assert endless.began.wait(2)
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, asked(experiment("scripted")), seconds=0.4)
        assert status_of(failure.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - began < 1.5
        # Another Experiment does not wait at all.
        assert suggest(address, asked(experiment("scripted", uid="other"))).parameter_assignments
        assert isinstance(first.exception(5), grpc.RpcError)
        assert suggest(address, asked(experiment("scripted"))).parameter_assignments


def test_calls_that_pile_up_on_one_experiment_are_turned_away() -> None:
    endless = Endless()
    servicer = SuggestionServicer(find_algorithm=finder(endless), held=HeldExperiments(waiting_limit=1))
    with serving(servicer) as address, grpc.insecure_channel(address) as channel:
        calls = [asking(channel).future(asked(experiment("endless")), timeout=60) for _ in range(2)]
        assert endless.began.wait(5)
        codes = set[grpc.StatusCode]()
        end = time.monotonic() + 30
        while grpc.StatusCode.UNAVAILABLE not in codes and time.monotonic() < end:
            with pytest.raises(grpc.RpcError) as failure:
                suggest(address, asked(experiment("endless")), seconds=0.1)
            codes.add(status_of(failure.value)[0])
        assert grpc.StatusCode.UNAVAILABLE in codes
        for call in calls:
            call.cancel()
        assert endless.ended.wait(5)


def test_the_least_recently_used_experiments_are_dropped() -> None:
    held = HeldExperiments(experiment_limit=2)
    algorithm = Scripted()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm), held=held)) as address:
        for uid in ("a", "b", "a", "c"):
            suggest(address, asked(experiment("scripted", uid=uid), done(0), history_token="1"))
        assert len(held) == 2
        again = asked(experiment("scripted", uid="a"), history_base="1", history_token="1", history_size=1)
        assert suggest(address, again).parameter_assignments
        again.experiment.uid = "b"
        with pytest.raises(grpc.RpcError, match="send all"):
            suggest(address, again)


def test_histories_beyond_the_limit_are_dropped() -> None:
    held = HeldExperiments(entry_limit=3)
    with serving(SuggestionServicer(find_algorithm=finder(Scripted()), held=held)) as address:
        for uid in ("a", "b"):
            suggest(address, asked(experiment("scripted", uid=uid), done(0), done(1), history_token="1"))
        assert len(held) == 1


def test_many_callers_of_many_experiments_get_their_own_replies() -> None:
    barrier = threading.Barrier(8)

    def run(address: str, place: int) -> list[str]:
        of = experiment(uid=f"uid-{place}", seed=place)
        barrier.wait(4)
        replies = [suggest(address, asked(of, total_request_number=n + 1)) for n in range(5)]
        return [reply.SerializeToString(deterministic=True).hex() for reply in replies]

    with serving(SuggestionServicer()) as address, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda place: run(address, place), range(8)))
        barrier = threading.Barrier(1)
        alone = [run(address, place) for place in range(8)]
    assert together == alone
    assert len({tuple(replies) for replies in together}) == 8
