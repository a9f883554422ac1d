"""Kubernetes quantities are read exactly, and everything else is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.api.quantity import ceiling, format_bytes, format_milli, milli, parse_quantity

SUFFIXES = {"m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY_SUFFIXES = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("2", 2),
        (2, 2),
        (0.5, Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("+3", 3),
        ("100n", Fraction(1, 10**7)),
        ("5u", Fraction(5, 10**6)),
        ("1e3", 1000),
        ("1E3", 1000),
        ("2.5e-1", Fraction(1, 4)),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("1.5Gi", 3 * 2**29),
        ("128974848", 128974848),
        ("129M", 129 * 10**6),
        ("123Mi", 123 * 2**20),
    ],
)
def test_a_quantity_is_read_exactly(text: Any, number: Any) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 Gi",
        "Gi",
        "1gi",
        "1GiB",
        "1K",
        "1ki",
        "one",
        "1,5",
        "1_000",
        "٣",
        "0x10",
        "nan",
        "inf",
        float("nan"),
        "1e",
        "1e1000",
        "1" * 65,
        True,
        None,
        [],
        {},
    ],
)
def test_anything_else_is_refused_with_its_value(text: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a quantity .*, got "):
        parse_quantity(text)


def test_a_negative_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be below zero, got '-1Gi'"):
        parse_quantity("-1Gi")


@given(st.integers(0, 10**9), st.sampled_from(sorted(SUFFIXES.items())))
def test_decimal_suffixes_are_powers_of_a_thousand(number: int, suffix: tuple[str, int]) -> None:
    name, power = suffix
    assert parse_quantity(f"{number}{name}") == number * Fraction(1000) ** power


@given(st.integers(0, 10**9), st.sampled_from(sorted(BINARY_SUFFIXES.items())))
def test_binary_suffixes_are_powers_of_1024(number: int, suffix: tuple[str, int]) -> None:
    name, power = suffix
    assert parse_quantity(f"{number}{name}") == number * 1024**power


def test_amounts_are_rounded_up_as_in_kubernetes() -> None:
    assert milli(parse_quantity("0.5001")) == 501
    assert milli(parse_quantity("100n")) == 1
    assert ceiling(parse_quantity("1.5")) == 2
    assert ceiling(parse_quantity("2")) == 2


def test_amounts_are_shown_as_people_write_them() -> None:
    assert [format_milli(amount) for amount in (0, 500, 1000, 1500, 12000, 1)] == [
        "0",
        "0.5",
        "1",
        "1.5",
        "12",
        "0.001",
    ]
    assert [format_bytes(amount) for amount in (0, 512, 1024, 3 * 2**29, 2**30 - 1, 10**12)] == [
        "0",
        "512",
        "1Ki",
        "1.5Gi",
        "1024Mi",
        "931Gi",
    ]
