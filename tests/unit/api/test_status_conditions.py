from __future__ import annotations

from datetime import UTC, datetime, timedelta

from katibpy.api.model import Condition
from katibpy.api.status_conditions import (
    current,
    find_condition,
    has_condition,
    set_condition,
    without_conditions,
)

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)
CREATED = Condition(type="Created", reason="ExperimentCreated", message="is created")
RUNNING = Condition(type="Running", reason="ExperimentRunning", message="is running")


def started() -> tuple[Condition, ...]:
    return set_condition(set_condition((), CREATED, EARLY), RUNNING, EARLY)


def test_a_new_condition_becomes_the_current_one_with_both_times() -> None:
    found = current(started())
    assert found is not None
    assert found.type == "Running"
    assert found.last_update_time == found.last_transition_time == EARLY


def test_nothing_is_current_without_conditions() -> None:
    assert current(()) is None


def test_setting_the_same_condition_again_changes_nothing() -> None:
    conditions = started()
    assert set_condition(conditions, CREATED, LATE) is conditions


def test_a_new_message_alone_is_written_in_place() -> None:
    conditions = set_condition(started(), CREATED.but(message="was created"), LATE)
    assert [condition.type for condition in conditions] == ["Created", "Running"]
    created = conditions[0]
    assert created.message == "was created"
    assert created.last_update_time == LATE
    assert created.last_transition_time == EARLY


def test_a_new_reason_moves_to_the_end_and_keeps_the_transition_time() -> None:
    conditions = set_condition(started(), CREATED.but(reason="Other"), LATE)
    assert [condition.type for condition in conditions] == ["Running", "Created"]
    assert conditions[-1].last_update_time == LATE
    assert conditions[-1].last_transition_time == EARLY


def test_a_new_status_moves_to_the_end_and_is_a_transition() -> None:
    conditions = set_condition(started(), CREATED.but(status="False"), LATE)
    assert conditions[-1].type == "Created"
    assert conditions[-1].last_transition_time == LATE
    assert not has_condition(conditions, "Created")


def test_a_condition_counts_only_while_its_status_is_true() -> None:
    conditions = set_condition(started(), RUNNING.but(status="False"), LATE)
    assert not has_condition(conditions, "Running")
    assert find_condition(conditions, "Running") is not None
    assert has_condition(conditions, "Created")
    assert not has_condition(conditions, "Succeeded")


def test_conditions_are_dropped_by_type() -> None:
    assert [condition.type for condition in without_conditions(started(), "Created", "Failed")] == ["Running"]
