from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.algo.history import Outcome
from katibpy.api.experiment import Distribution, Experiment, ParameterType
from katibpy.core.phases import TrialPhase
from katibpy.core.records import TrialRecord
from katibpy.errors import BadReply, InvalidSettings
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_enums import DISTRIBUTIONS, OUTCOMES, PARAMETER_TYPES, PHASES
from katibpy.rpc.convert_experiment import experiment_from_pb, experiment_to_pb
from katibpy.rpc.convert_reply import reply_from_pb, reply_to_pb, without_memory_setting
from katibpy.rpc.convert_time import time_from_text, time_to_text
from katibpy.rpc.convert_trial import line_from_pb, lines_from_katib, trial_from_pb, trial_to_pb
from katibpy.rpc.names import MEMORY_SETTING
from tests.unit.rpc.messages import LABELS, TEXTS, TRIALS, WORDS, experiments
from tests.unit.rpc.parts import experiment


@given(experiments())
def test_an_experiment_message_comes_back_from_the_resource(message: pb.Experiment) -> None:
    assert experiment_to_pb(experiment_from_pb(message)) == message


@given(experiments())
def test_an_experiment_comes_back_from_its_message(message: pb.Experiment) -> None:
    resource = experiment_from_pb(message)
    assert experiment_from_pb(experiment_to_pb(resource)) == resource


def test_an_experiment_without_anything_becomes_an_empty_message() -> None:
    message = experiment_to_pb(Experiment())
    assert not any(message.spec.HasField(part) for part in ("objective", "algorithm", "seed", "nas_config"))
    assert experiment_from_pb(pb.Experiment()) == Experiment()


def test_the_sign_of_a_zero_stays() -> None:
    sent = experiment(objective={"type": "minimize", "goal": -0.0, "objectiveMetricName": "loss"})
    assert str(experiment_to_pb(sent).spec.objective.goal) == "-0.0"


@pytest.mark.parametrize(("goal", "is_set"), [(None, False), (0.0, True), (-1.5, True)])
def test_a_goal_of_zero_differs_from_no_goal(goal: float | None, is_set: bool) -> None:
    sent = experiment(objective={"type": "minimize", "goal": goal, "objectiveMetricName": "loss"})
    message = experiment_to_pb(sent)
    assert message.spec.objective.goal_is_set is is_set
    received = experiment_from_pb(message).spec.objective
    assert received is not None
    assert received.goal == goal


def test_a_goal_of_a_peer_without_extensions_counts_unless_it_is_zero() -> None:
    def goal(value: float) -> float | None:
        spec = pb.ExperimentSpec(objective=pb.ObjectiveSpec(goal=value))
        objective = experiment_from_pb(pb.Experiment(spec=spec)).spec.objective
        assert objective is not None
        return objective.goal

    assert (goal(0.0), goal(0.5)) == (None, 0.5)


def test_every_parameter_type_and_distribution_is_on_the_wire() -> None:
    types = {PARAMETER_TYPES.number(kind.value) for kind in ParameterType}
    assert types == set(pb.ParameterType.values())
    laws = {DISTRIBUTIONS.number(law.value) for law in Distribution}
    assert laws == set(pb.Distribution.values())


def test_every_trial_condition_has_a_phase_and_an_outcome() -> None:
    conditions = set(pb.TrialStatus.TrialConditionType.values())
    assert conditions == set(OUTCOMES)
    assert {PHASES.number(phase) for phase in TrialPhase} == conditions - {pb.TrialStatus.UNKNOWN}
    assert all(PHASES.value(PHASES.number(phase)) is phase for phase in TrialPhase)


def test_what_a_newer_peer_calls_something_is_no_error() -> None:
    assert PARAMETER_TYPES.value(77) == "unknown"
    assert DISTRIBUTIONS.value(77) is None
    assert PHASES.value(77) is TrialPhase.METRICS_UNAVAILABLE


@given(TRIALS)
def test_a_trial_message_comes_back_from_the_record(message: pb.Trial) -> None:
    assert trial_to_pb(trial_from_pb(message)) == message


@given(TRIALS)
def test_the_history_line_says_what_the_record_says(message: pb.Trial) -> None:
    record, line = trial_from_pb(message), line_from_pb(message)
    assert (line.name, line.number) == (record.name, record.number)
    assert (line.outcome is Outcome.PROPOSED) == (record.phase is None)
    assert line.assignment == {pair.name: pair.value for pair in record.assignments}
    assert line.metrics == {pair.name: pair.value for pair in record.metrics}
    expected = record.start_time.timestamp() if record.start_time else None
    assert line.start_time == expected


@pytest.mark.parametrize(
    ("phase", "uid", "outcome"),
    [
        (None, "", Outcome.PROPOSED),
        (TrialPhase.PENDING, "u", Outcome.ACTIVE),
        (TrialPhase.RUNNING, "u", Outcome.ACTIVE),
        (TrialPhase.SUCCEEDED, "u", Outcome.SUCCEEDED),
        (TrialPhase.FAILED, "u", Outcome.FAILED),
        (TrialPhase.METRICS_UNAVAILABLE, "u", Outcome.FAILED),
        (TrialPhase.KILLED, "u", Outcome.KILLED),
        (TrialPhase.EARLY_STOPPED, "u", Outcome.EARLY_STOPPED),
    ],
)
def test_a_record_reaches_the_algorithm_with_its_outcome(
    phase: TrialPhase | None, uid: str, outcome: Outcome
) -> None:
    record = TrialRecord("t", uid, 0, (), {}, phase)
    assert line_from_pb(trial_to_pb(record)).outcome is outcome


def test_trials_of_katibs_controller_are_put_in_the_order_of_their_start() -> None:
    def trial(name: str, start: str) -> pb.Trial:
        return pb.Trial(name=name, status=pb.TrialStatus(start_time=start))

    late, early = trial("a", "2026-01-02T00:00:00Z"), trial("b", "2026-01-01T00:00:00Z")
    pending = [trial("d", ""), trial("c", "")]
    lines = lines_from_katib([*pending, late, early])
    assert [(line.name, line.number) for line in lines] == [("b", 0), ("a", 1), ("c", 2), ("d", 3)]
    assert {line.outcome for line in lines} == {Outcome.ACTIVE}


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_a_moment_comes_back_from_its_text(moment: datetime) -> None:
    assert time_from_text(time_to_text(moment)) == moment


def test_a_text_that_is_no_time_is_no_moment() -> None:
    assert time_to_text(None) == ""
    assert [time_from_text(text) for text in ("", "yesterday")] == [None, None]
    assert time_to_text(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31T12:00:00Z"


REPLIES = st.builds(
    Reply,
    proposals=st.lists(
        st.builds(
            Proposal,
            assignment=st.dictionaries(WORDS, TEXTS, max_size=3),
            trial_name=st.none() | WORDS,
            labels=LABELS,
        ),
        max_size=3,
    ).map(tuple),
    memory=st.none() | st.binary(max_size=20),
    exhausted=st.booleans(),
    settings=st.dictionaries(WORDS, TEXTS, max_size=2),
    note=TEXTS,
)


@given(REPLIES)
def test_a_reply_comes_back_from_its_message(reply: Reply) -> None:
    assert reply_from_pb(reply_to_pb(reply, extended=True)) == reply


@given(st.binary(max_size=50))
def test_memory_survives_a_controller_that_knows_only_settings(memory: bytes) -> None:
    message = reply_to_pb(Reply(memory=memory, settings={"eta": "3"}), extended=False, algorithm_name="x")
    assert not message.memory_is_set
    settings = {setting.name: setting.value for setting in message.algorithm.algorithm_settings}
    assert settings["eta"] == "3"
    returned, carried = without_memory_setting(experiment(settings=settings))
    assert carried == memory
    assert returned == experiment(settings={"eta": "3"})


def test_a_damaged_memory_setting_is_refused_by_name() -> None:
    with pytest.raises(InvalidSettings, match=MEMORY_SETTING):
        without_memory_setting(experiment(settings={MEMORY_SETTING: "!"}))


def test_an_experiment_without_memory_setting_is_left_alone() -> None:
    asked = experiment(settings={"eta": "3"})
    assert without_memory_setting(asked) == (asked, None)


def test_a_parameter_that_is_assigned_twice_is_a_bad_reply() -> None:
    pair = pb.ParameterAssignment(name="lr", value="1")
    assignments = pb.GetSuggestionsReply.ParameterAssignments(assignments=[pair, pair])
    with pytest.raises(BadReply, match=r"proposal 0 .* assigns a parameter twice"):
        reply_from_pb(pb.GetSuggestionsReply(parameter_assignments=[assignments]))
