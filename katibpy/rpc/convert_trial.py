"""TrialRecord <-> Trial -> the history line of an algorithm's host."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from katibpy.algo.history import Outcome
from katibpy.algo.merged_history import Line
from katibpy.api.model import NameValue
from katibpy.core.records import TrialRecord
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.convert_enums import OUTCOMES, PHASES
from katibpy.rpc.convert_time import time_from_text, time_to_text


def trial_to_pb(record: TrialRecord, objective: pb.ObjectiveSpec | None = None) -> pb.Trial:
    """The message of one history record; Katib's services want the objective in each of them."""
    return pb.Trial(
        name=record.name,
        uid=record.uid,
        number=record.number,
        spec=pb.TrialSpec(
            objective=objective,
            parameter_assignments=pb.TrialSpec.ParameterAssignments(
                assignments=[
                    pb.ParameterAssignment(name=pair.name, value=pair.value) for pair in record.assignments
                ]
            ),
            labels=record.labels,
        ),
        status=pb.TrialStatus(
            start_time=time_to_text(record.start_time),
            completion_time=time_to_text(record.completion_time),
            condition=pb.TrialStatus.CREATED if record.phase is None else PHASES.number(record.phase),
            observation=pb.Observation(
                metrics=[pb.Metric(name=pair.name, value=pair.value) for pair in record.metrics]
            ),
        ),
    )


def trial_from_pb(message: pb.Trial) -> TrialRecord:
    """The record that `trial_to_pb` makes the message of."""
    status = message.status
    is_proposal = status.condition == pb.TrialStatus.CREATED and not message.uid
    return TrialRecord(
        name=message.name,
        uid=message.uid,
        number=message.number,
        assignments=tuple(
            NameValue(name=pair.name, value=pair.value)
            for pair in message.spec.parameter_assignments.assignments
        ),
        labels=dict(message.spec.labels),
        phase=None if is_proposal else PHASES.value(status.condition),
        metrics=tuple(NameValue(name=pair.name, value=pair.value) for pair in status.observation.metrics),
        start_time=time_from_text(status.start_time),
        completion_time=time_from_text(status.completion_time),
    )


def line_from_pb(message: pb.Trial) -> Line:
    """The history line of a trial that a caller with extensions sent."""
    status = message.status
    outcome = OUTCOMES.get(status.condition, Outcome.FAILED)
    if status.condition == pb.TrialStatus.CREATED and not message.uid:
        outcome = Outcome.PROPOSED
    return _line(message, number=message.number, outcome=outcome)


def lines_from_katib(messages: Iterable[pb.Trial]) -> tuple[Line, ...]:
    """History lines of trials that a caller without extensions sent, in no order that could be relied on.

    Trials are put in the order of their start; those without a start come last, by name.
    """
    ordered = sorted(
        messages, key=lambda each: (not each.status.start_time, each.status.start_time, each.name)
    )
    return tuple(
        _line(message, number=number, outcome=OUTCOMES.get(message.status.condition, Outcome.FAILED))
        for number, message in enumerate(ordered)
    )


def _line(message: pb.Trial, *, number: int, outcome: Outcome) -> Line:
    status = message.status
    return Line(
        name=message.name,
        number=number,
        outcome=outcome,
        assignment={pair.name: pair.value for pair in message.spec.parameter_assignments.assignments},
        metrics={pair.name: pair.value for pair in status.observation.metrics},
        labels=dict(message.spec.labels),
        start_time=_seconds(time_from_text(status.start_time)),
        completion_time=_seconds(time_from_text(status.completion_time)),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
