from __future__ import annotations

import dataclasses
import math
from decimal import Decimal

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from katibpy.algo.space import Dimension, Space, dimension_of
from katibpy.api.experiment import Distribution, FeasibleSpace, ParameterSpec, ParameterType

UNITS = st.floats(0.0, 1.0, exclude_max=True)
LAWS = st.sampled_from([law for law in Distribution if law is not Distribution.UNKNOWN])


def _spec(kind: ParameterType, **feasible: object) -> ParameterSpec:
    return ParameterSpec(
        name="x", parameter_type=kind.value, feasible_space=FeasibleSpace.model_validate(feasible)
    )


@st.composite
def doubles(draw: st.DrawFn) -> Dimension:
    law = draw(LAWS)
    is_logarithmic = law in (Distribution.LOG_UNIFORM, Distribution.LOG_NORMAL)
    low = draw(
        st.decimals("1e-6", "100", places=6) if is_logarithmic else st.decimals("-1000", "1000", places=3)
    )
    width = draw(st.decimals("0.01", "1000", places=3))
    step = draw(st.none() | st.decimals("0.001", "300", places=3))
    assume(step is None or width / step < 2000)
    feasible = {"min": str(low), "max": str(low + width), "distribution": law.value}
    return dimension_of(
        _spec(ParameterType.DOUBLE, **feasible, **({} if step is None else {"step": str(step)}))
    )


@st.composite
def ints(draw: st.DrawFn) -> Dimension:
    law = draw(LAWS)
    is_logarithmic = law in (Distribution.LOG_UNIFORM, Distribution.LOG_NORMAL)
    low = draw(st.integers(1 if is_logarithmic else -1000, 1000))
    feasible = {"min": str(low), "max": str(low + draw(st.integers(1, 2000))), "distribution": law.value}
    return dimension_of(_spec(ParameterType.INT, **feasible, step=str(draw(st.integers(1, 50)))))


@st.composite
def lists(draw: st.DrawFn) -> Dimension:
    if draw(st.booleans()):
        numbers = st.integers(-50, 50).map(str) | st.floats(-9, 9).map(repr)
        texts = draw(st.lists(numbers, min_size=1, max_size=8, unique_by=float))
        return dimension_of(_spec(ParameterType.DISCRETE, list=tuple(texts)))
    texts = draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8, unique=True))
    return dimension_of(_spec(ParameterType.CATEGORICAL, list=tuple(texts)))


DIMENSIONS = doubles() | ints() | lists()


@given(DIMENSIONS, UNITS)
def test_a_value_from_a_unit_coordinate_is_in_the_dimension(dimension: Dimension, unit: float) -> None:
    value = dimension.from_unit(unit)
    text = dimension.format(value)
    assert dimension.parse(text) == value
    assert dimension.format(value) == text


@given(DIMENSIONS, UNITS)
def test_the_unit_coordinate_of_a_value_leads_back_to_it(dimension: Dimension, unit: float) -> None:
    value = dimension.from_unit(unit)
    again = dimension.from_unit(dimension.to_unit(value))
    if dimension.cardinality is None:
        assert isinstance(value, float)
        assert isinstance(again, float)
        assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9)
    else:
        assert again == value


@given(DIMENSIONS)
def test_every_value_of_a_finite_dimension_is_reached_and_numbered(dimension: Dimension) -> None:
    assume(dimension.cardinality is not None and dimension.cardinality <= 300)
    values = [dimension.at(index) for index in range(dimension.cardinality or 0)]
    assert len(set(values)) == len(values)
    assert [dimension.index_of(value) for value in values] == list(range(len(values)))
    assert [dimension.from_unit(dimension.to_unit(value)) for value in values] == values
    assert math.isclose(float(dimension.masses().sum()), 1.0)


@given(doubles() | ints(), UNITS, UNITS)
def test_numbers_rise_with_the_unit_coordinate(dimension: Dimension, one: float, other: float) -> None:
    low, high = dimension.from_unit(min(one, other)), dimension.from_unit(max(one, other))
    assert float(low) <= float(high)


@given(
    st.decimals("-1000", "1000", places=4),
    st.decimals("0.0001", "10", places=4),
    st.integers(1, 500),
)
def test_a_stepped_double_is_the_decimal_that_the_user_would_write(
    low: Decimal, step: Decimal, count: int
) -> None:
    high = low + step * count
    dimension = dimension_of(_spec(ParameterType.DOUBLE, min=str(low), max=str(high), step=str(step)))
    assert dimension.cardinality == count + 1
    for index in {0, count // 3, count}:
        assert Decimal(dimension.format(dimension.at(index))) == low + index * step


@given(st.lists(ints() | lists(), min_size=1, max_size=4), st.data())
def test_assignments_of_a_finite_space_are_numbered(drawn: list[Dimension], data: st.DataObject) -> None:
    space = Space(tuple(_renamed(dimension, f"p{place}") for place, dimension in enumerate(drawn)))
    assert space.cardinality is not None
    index = data.draw(st.integers(0, space.cardinality - 1))
    assignment = space.at(index)
    assert space.index_of(assignment) == index
    assert space.parse_assignment(space.format_assignment(assignment)) == assignment


def _renamed(dimension: Dimension, name: str) -> Dimension:
    return dataclasses.replace(dimension, name=name)  # type: ignore[type-var]


@settings(max_examples=25, deadline=None)
@given(doubles() | ints() | lists())
def test_draws_follow_the_masses(dimension: Dimension) -> None:
    assume(dimension.cardinality is not None and 2 <= dimension.cardinality <= 50)
    masses = dimension.masses()
    units = (np.arange(20_000) + 0.5) / 20_000
    drawn = np.bincount(
        [dimension.index_of(dimension.from_unit(unit)) for unit in units], minlength=len(masses)
    )
    np.testing.assert_allclose(drawn / 20_000, masses, atol=3e-4)
