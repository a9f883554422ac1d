from __future__ import annotations

import pytest

from katibpy.algo.randomness import generator
from katibpy.algo.space import Value, space_of
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.testing.algorithm_cases import KINDS, MIXED, parameter
from suggestion_services.pbt_exploring import explored, perturbed


def moved(spec: ParameterSpec, value: Value, *, is_up: bool) -> Value:
    (dimension,) = space_of((spec,))
    return perturbed(dimension, value, is_up=is_up)


def double(low: str, high: str, **more: str) -> ParameterSpec:
    return parameter("x", ParameterType.DOUBLE, min=low, max=high, **more)


def integer(low: str, high: str, **more: str) -> ParameterSpec:
    return parameter("x", ParameterType.INT, min=low, max=high, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_kind_values_stay_inside_and_move_to_both_sides(kind: str) -> None:
    (dimension,) = space_of((KINDS[kind],))
    for number in range(60):
        value = dimension.from_unit(float(generator(5, number).random()))
        for is_up in (True, False):
            found = perturbed(dimension, value, is_up=is_up)
            assert dimension.parse(dimension.format(found)) == found
            assert type(found) is type(value) or dimension.cardinality is not None
    ends = {perturbed(dimension, dimension.from_unit(0.5), is_up=is_up) for is_up in (True, False)}
    assert len(ends) == min(2, dimension.cardinality or 2)


@pytest.mark.parametrize("spec", [double("1e-6", "1", distribution="logUniform"), double("0.5", "500")])
def test_positive_numbers_are_multiplied(spec: ParameterSpec) -> None:
    assert moved(spec, 0.75, is_up=True) == pytest.approx(0.9)
    assert moved(spec, 0.75, is_up=False) == pytest.approx(0.6)


def test_the_bounds_stop_a_number() -> None:
    assert moved(double("0.1", "1"), 0.9, is_up=True) == 1.0
    assert moved(double("0.1", "1"), 0.11, is_up=False) == 0.1
    assert moved(integer("1", "10"), 10, is_up=True) == 10


@pytest.mark.parametrize(("value", "up"), [(0.0, 0.2), (0.5, 0.7), (-0.5, -0.3), (-4.0, -3.2), (4.0, 4.8)])
def test_where_a_range_holds_zero_values_near_it_move_too(value: float, up: float) -> None:
    assert moved(double("-5", "5"), value, is_up=True) == pytest.approx(up)


@pytest.mark.parametrize(
    ("spec", "value", "up", "down"),
    [
        (integer("1", "100"), 50, 60, 40),
        (integer("1", "100"), 2, 3, 1),
        (integer("0", "8"), 0, 1, 0),
        (integer("1", "1001", step="100"), 501, 601, 401),
        (integer("1", "1001", step="10"), 501, 601, 401),
        (integer("1", "1024", distribution="logUniform"), 512, 614, 410),
        (double("0", "1", step="0.25"), 0.5, 0.75, 0.25),
        (double("10", "20", step="0.5"), 15.0, 18.0, 12.0),
    ],
)
def test_numbers_with_steps_move_at_least_one_of_them(
    spec: ParameterSpec, value: Value, up: Value, down: Value
) -> None:
    found = moved(spec, value, is_up=True), moved(spec, value, is_up=False)
    assert found == (up, down)
    assert {type(each) for each in found} == {type(value)}


@pytest.mark.parametrize("kind", [ParameterType.DISCRETE, ParameterType.CATEGORICAL])
def test_of_a_list_the_neighbour_is_taken(kind: ParameterType) -> None:
    (dimension,) = space_of((parameter("x", kind, list=("1", "20", "300")),))
    first, middle, last = (dimension.at(place) for place in range(3))
    assert perturbed(dimension, middle, is_up=True) == last
    assert perturbed(dimension, middle, is_up=False) == first
    assert perturbed(dimension, last, is_up=True) == last
    assert perturbed(dimension, last, is_up=False) == middle


def test_values_are_drawn_anew_as_often_as_is_said() -> None:
    (dimension,) = space = space_of((double("0.5", "1.5"),))
    start = {"x": 1.0}
    drawn = 0
    for number in range(400):
        value = explored(space, start, generator(1, number), resample_probability=0.25)["x"]
        drawn += value not in (1.2, 0.8)
    assert 70 <= drawn <= 130
    never = {explored(space, start, generator(1, n), resample_probability=0.0)["x"] for n in range(50)}
    assert never == {1.2, 0.8}
    always = [explored(space, start, generator(1, n), resample_probability=1.0)["x"] for n in range(50)]
    assert len(set(always)) == 50
    assert dimension.name == "x"


def test_each_value_goes_its_own_way_and_the_assignment_is_complete() -> None:
    space = space_of(MIXED)
    start = space.from_unit_cube([0.5] * len(space))
    found = [explored(space, start, generator(2, number)) for number in range(40)]
    assert all(tuple(each) == space.names for each in found)
    ways = {(each["rate"] > start["rate"], each["layers"] > start["layers"]) for each in found}  # type: ignore[operator]
    assert len(ways) == 4
