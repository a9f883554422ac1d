from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from katibpy import __version__
from katibpy.algo.algorithm import Proposal, Reads, Reply
from katibpy.algo.history import Outcome
from katibpy.errors import MissingExtra
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_experiment import experiment_to_pb
from katibpy.rpc.error_codes import HistoryBaseMissing, raised, status_of
from katibpy.rpc.held_experiments import HeldExperiments
from katibpy.rpc.names import MEMORY_SETTING
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.parts import Scripted, experiment, finder, serving, usual_reply
from tests.unit.rpc.raw_calls import SUGGESTION, asked, done, suggest


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


def test_a_whole_history_without_token_is_taken_as_it_is() -> None:
    algorithm = Scripted()
    with serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address:
        suggest(address, asked(None, done(0), done(1), history_size=0))
    assert [(len(history), history.token) for history in algorithm.shown] == [(2, "")]


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
