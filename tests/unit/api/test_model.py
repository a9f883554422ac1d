"""Copies of frozen values."""

from __future__ import annotations

from katibpy.api.model import Condition, NameValue, ObjectMeta


def test_a_copy_equals_what_validation_would_make_of_it() -> None:
    meta = ObjectMeta(name="a", labels={"team": "blue"})
    copied = meta.but(name="b", generation=2)
    assert copied == ObjectMeta(name="b", labels={"team": "blue"}, generation=2)
    assert copied.model_dump(exclude_unset=True) == {"name": "b", "labels": {"team": "blue"}, "generation": 2}
    assert meta == ObjectMeta(name="a", labels={"team": "blue"})
    assert copied.model_fields_set == {"name", "labels", "generation"}


def test_a_copy_keeps_unknown_fields_and_can_be_copied_again() -> None:
    condition = Condition.model_validate({"type": "Ready", "extra": 1}).but(status="False").but(reason="Why")
    assert condition.model_extra == {"extra": 1}
    assert (condition.type, condition.status, condition.reason) == ("Ready", "False", "Why")
    assert condition.model_copy() == condition
    assert hash(NameValue(name="a", value="1").but(value="2")) == hash(NameValue(name="a", value="2"))
