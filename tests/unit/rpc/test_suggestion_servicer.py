from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from katibpy import __version__
from katibpy.algo.algorithm import Proposal, Reads, Reply
from katibpy.algo.history import Outcome
from katibpy.api.experiment import Experiment
from katibpy.errors import MissingExtra
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_experiment import experiment_to_pb
from katibpy.rpc.error_codes import HistoryBaseMissing, raised, status_of
from katibpy.rpc.held_experiments import HeldExperiments
from katibpy.rpc.names import MEMORY_SETTING
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.parts import Endless, Scripted, experiment, finder, serving, usual_reply

SUGGESTION = "api.v1.beta1.Suggestion"


def suggest(
    address: str, request: pb.GetSuggestionsRequest, *, service: str = SUGGESTION, seconds: float = 4.0
) -> pb.GetSuggestionsReply:
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            f"/{service}/GetSuggestions",
            request_serializer=pb.GetSuggestionsRequest.SerializeToString,
            response_deserializer=pb.GetSuggestionsReply.FromString,
        )
        reply: pb.GetSuggestionsReply = method(request, timeout=seconds)
        return reply


def asked(
    of: Experiment | None = None, *trials: pb.Trial, count: int = 1, **fields: object
) -> pb.GetSuggestionsRequest:
    request = pb.GetSuggestionsRequest(
        experiment=experiment_to_pb(of or experiment("scripted")),
        trials=trials,
        current_request_number=count,
        total_request_number=len(trials) + count,
        extended=True,
        history_size=len(trials),
    )
    for name, value in fields.items():
        if name == "removed_trials":
            request.removed_trials.extend(value)  # type: ignore[arg-type]
        else:
            setattr(request, name, value)
    return request


def done(number: int, loss: str = "1") -> pb.Trial:
    return pb.Trial(
        name=f"t{number}",
        uid=f"u{number}",
        number=number,
        spec=pb.TrialSpec(
            parameter_assignments=pb.TrialSpec.ParameterAssignments(
                assignments=[
                    pb.ParameterAssignment(name="lr", value="0.5"),
                    pb.ParameterAssignment(name="kind", value="a"),
                ]
            )
        ),
        status=pb.TrialStatus(
            condition=pb.TrialStatus.SUCCEEDED,
            observation=pb.Observation(metrics=[pb.Metric(name="loss", value=loss)]),
        ),
    )


@pytest.mark.parametrize("service", [SUGGESTION, "katibpy.v1beta1.Suggestion"])
def test_both_service_names_give_the_same_reply(service: str) -> None:
    with serving(SuggestionServicer()) as address:
        reply = suggest(address, asked(experiment(seed=3), count=3), service=service)
    assert len(reply.parameter_assignments) == 3
    with serving(SuggestionServicer()) as address:
        assert suggest(address, asked(experiment(seed=3), count=3)) == reply


def test_a_difference_is_merged_into_what_is_held() -> None:
    algorithm = Scripted()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        suggest(address, asked(None, done(0), done(1), history_token="1"))
        changed = asked(
            None, done(2), history_base="1", history_token="2", history_size=2, removed_trials=["t0"]
        )
        suggest(address, changed)
        # The same difference again, as after a lost reply.
        suggest(address, changed)
    shown = [[entry.name for entry in history] for history in algorithm.shown]
    assert shown == [["t0", "t1"], ["t1", "t2"], ["t1", "t2"]]
    assert [history.token for history in algorithm.shown] == ["1", "2", "2"]


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(lambda: asked(None, done(2), history_base="7", history_token="8"), id="other base"),
        pytest.param(
            lambda: asked(None, done(2), history_base="1", history_token="2", history_size=9),
            id="other count",
        ),
        pytest.param(
            lambda: asked(
                experiment("scripted", uid=""), done(2), history_base="1", history_token="2", history_size=2
            ),
            id="no uid",
        ),
    ],
)
def test_a_difference_to_something_else_is_refused_and_the_whole_is_accepted(
    request_of: Callable[[], pb.GetSuggestionsRequest],
) -> None:
    algorithm = Scripted()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        suggest(address, asked(None, done(0), history_token="1"))
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, request_of())
        assert status_of(failure.value)[0] is grpc.StatusCode.FAILED_PRECONDITION
        assert isinstance(raised(failure.value, peer=address), HistoryBaseMissing)
        suggest(address, asked(None, done(0), done(2), history_token="2"))
    assert [len(history) for history in algorithm.shown] == [1, 2]


def test_dropping_what_is_held_asks_for_the_whole_and_changes_no_reply() -> None:
    held = HeldExperiments()
    with serving(SuggestionServicer(held=held)) as address:
        of = experiment("tpe", seed=1)
        first = suggest(address, asked(of, done(0), done(1), history_token="1"))
        held.drop_all()
        assert len(held) == 0
        with pytest.raises(grpc.RpcError, match="send all"):
            suggest(address, asked(of, history_base="1", history_token="1", history_size=2))
        assert suggest(address, asked(of, done(0), done(1), history_token="1")) == first


def test_an_algorithm_that_reads_nothing_is_shown_nothing() -> None:
    algorithm = Scripted(Reads.NOTHING)
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        suggest(address, asked(None, done(0), total_request_number=6))
    assert (len(algorithm.shown[0]), algorithm.shown[0].total) == (0, 5)


def test_a_changed_objective_is_seen_at_once() -> None:
    algorithm = Scripted()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        for kind in ("minimize", "maximize"):
            of = experiment("scripted", objective={"type": kind, "objectiveMetricName": "loss"})
            suggest(address, asked(of, done(0), history_token="1"))
    assert [history.entries[0].loss for history in algorithm.shown] == [1.0, -1.0]


def test_memory_goes_to_extended_callers_as_a_field_and_to_others_as_a_setting() -> None:
    def answer(count: int) -> Reply:
        return Reply(usual_reply(count).proposals, memory=b"\x00\xff")

    algorithm = Scripted(answer=answer)
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        extended = suggest(address, asked(memory=b"old"))
        assert (extended.memory, extended.memory_is_set) == (b"\x00\xff", True)
        assert not extended.algorithm.algorithm_settings
        plain = suggest(address, asked(extended=False))
        assert (plain.memory, plain.memory_is_set, plain.extended) == (b"", False, False)
        settings = {setting.name: setting.value for setting in plain.algorithm.algorithm_settings}
        assert settings.keys() == {MEMORY_SETTING}
        suggest(address, asked(experiment("scripted", uid="", settings=settings), extended=False))
    assert algorithm.memories == [b"old", None, b"\x00\xff"]


def test_katibs_controller_gets_exactly_as_many_as_it_asks_for() -> None:
    grid = experiment(
        "grid",
        uid="",
        parameters=[
            {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b", "c"]}}
        ],
    )
    with serving(SuggestionServicer()) as address:
        first = suggest(address, asked(grid, extended=False, count=2, total_request_number=2))
        assert len(first.parameter_assignments) == 2
        trials = [
            pb.Trial(
                name=f"t{place}", spec=pb.TrialSpec(parameter_assignments={"assignments": each.assignments})
            )
            for place, each in enumerate(first.parameter_assignments)
        ]
        rest = suggest(address, asked(grid, *trials, extended=False, count=2, total_request_number=4))
        values = [pair.value for each in rest.parameter_assignments for pair in each.assignments]
        seen = [pair.value for each in first.parameter_assignments for pair in each.assignments]
        assert len(values) == 1
        assert sorted(values + seen) == ["a", "b", "c"]
        trials.append(
            pb.Trial(
                name="t2",
                spec=pb.TrialSpec(
                    parameter_assignments=pb.TrialSpec.ParameterAssignments(
                        assignments=[pb.ParameterAssignment(name="kind", value=values[0])]
                    )
                ),
            )
        )
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, asked(grid, *trials, extended=False, count=1, total_request_number=4))
    assert status_of(failure.value)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_trials_of_katibs_controller_are_active_until_they_end() -> None:
    algorithm = Scripted()
    running = pb.Trial(name="r", status=pb.TrialStatus(condition=pb.TrialStatus.RUNNING))
    created = pb.Trial(name="c", status=pb.TrialStatus(condition=pb.TrialStatus.CREATED))
    unknown = pb.Trial(name="u", status=pb.TrialStatus(condition=pb.TrialStatus.UNKNOWN))
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        suggest(address, asked(experiment("scripted", uid=""), running, created, unknown, extended=False))
    outcomes = {entry.name: entry.outcome for entry in algorithm.shown[0]}
    assert outcomes == {"r": Outcome.ACTIVE, "c": Outcome.ACTIVE, "u": Outcome.FAILED}


@pytest.mark.parametrize(
    ("request_of", "code", "said"),
    [
        (
            lambda: asked(experiment("rndom")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "did you mean 'random'",
        ),
        (
            lambda: asked(experiment(settings={"random_state": "-1", "colour": "red"})),
            grpc.StatusCode.INVALID_ARGUMENT,
            "colour",
        ),
        (
            lambda: asked(experiment(parameters=[{"name": "x", "parameterType": "int"}])),
            grpc.StatusCode.INVALID_ARGUMENT,
            "parameter x needs numeric min and max",
        ),
        (
            lambda: asked(experiment(), count=0),
            grpc.StatusCode.INVALID_ARGUMENT,
            "current_request_number must be at least 1, got 0",
        ),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_with_the_reason(
    request_of: Callable[[], pb.GetSuggestionsRequest], code: grpc.StatusCode, said: str
) -> None:
    with serving(SuggestionServicer()) as address:
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, request_of())
        assert status_of(failure.value)[0] is code
        assert said in status_of(failure.value)[1]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ZeroDivisionError("division by zero"),
            grpc.StatusCode.INTERNAL,
            "ZeroDivisionError: division by zero",
        ),
        (MissingExtra("run: pip install x"), grpc.StatusCode.INVALID_ARGUMENT, "run: pip install x"),
        (ValueError("x" * 100_000), grpc.StatusCode.INTERNAL, "ValueError: xxx"),
    ],
)
def test_what_an_algorithm_raises_reaches_the_caller(
    error: Exception, code: grpc.StatusCode, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(count: int) -> Reply:
        raise error

    with serving(SuggestionServicer(find_algorithm=finder(Scripted(answer=fail)))) as address:
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, asked())
        assert status_of(failure.value)[0] is code
        assert said in status_of(failure.value)[1]
    is_expected = isinstance(error, MissingExtra)
    assert any(record.exc_info for record in caplog.records) is not is_expected


def test_a_reply_that_breaks_the_contract_is_an_internal_error() -> None:
    algorithm = Scripted(answer=lambda count: Reply((Proposal({"lr": "0.5"}),)))
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        with pytest.raises(grpc.RpcError, match="parameter kind is missing") as failure:
            suggest(address, asked())
        assert status_of(failure.value)[0] is grpc.StatusCode.INTERNAL


def test_describe_says_what_the_algorithm_reads() -> None:
    with serving(SuggestionServicer()) as address, grpc.insecure_channel(address) as channel:
        describe = channel.unary_unary(
            f"/{SUGGESTION}/Describe",
            request_serializer=pb.DescribeRequest.SerializeToString,
            response_deserializer=pb.DescribeReply.FromString,
        )
        reply = describe(pb.DescribeRequest(experiment=experiment_to_pb(experiment())), timeout=4)
    assert reply == pb.DescribeReply(
        reads="nothing", algorithm="random", history_differences=True, version=__version__
    )


def test_the_deadline_reaches_the_algorithm() -> None:
    algorithm = Endless()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        with pytest.raises(grpc.RpcError) as failure:
            suggest(address, asked(experiment("endless")), seconds=0.3)
        assert status_of(failure.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        assert algorithm.ended.wait(2)


def test_work_ends_when_the_caller_has_gone() -> None:
    algorithm = Endless()
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        grpc.insecure_channel(address) as channel,
    ):
        method = channel.unary_unary(
            f"/{SUGGESTION}/GetSuggestions",
            request_serializer=pb.GetSuggestionsRequest.SerializeToString,
            response_deserializer=pb.GetSuggestionsReply.FromString,
        )
        running = method.future(asked(experiment("endless")), timeout=60)
        assert algorithm.began.wait(2)
        running.cancel()  # type: ignore[no-untyped-call]
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
    with serving(servicer) as address, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(suggest, address, asked(experiment("endless")), seconds=1.5) for _ in range(2)]
        assert endless.began.wait(2)
        codes = set[grpc.StatusCode]()
        end = time.monotonic() + 1.2
        while grpc.StatusCode.UNAVAILABLE not in codes and time.monotonic() < end:
            with pytest.raises(grpc.RpcError) as failure:
                suggest(address, asked(experiment("endless")), seconds=0.1)
            codes.add(status_of(failure.value)[0])
        assert grpc.StatusCode.UNAVAILABLE in codes
        assert all(isinstance(each.exception(5), grpc.RpcError) for each in calls)


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
