from __future__ import annotations

import pytest

from katibpy.runners.expansion import expand

VARIABLES = {"A": "1", "B": "$(A)", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$(EMPTY)|", "|"),
        ("$(B)", "$(A)"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$($(A))", "$($(A))"),
        ("no reference", "no reference"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, result: str) -> None:
    assert expand(text, VARIABLES) == result
