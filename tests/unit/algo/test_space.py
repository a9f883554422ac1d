from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chisquare, kstest, lognorm, norm

from katibpy.algo.randomness import generator
from katibpy.algo.space import Dimension, IntDimension, dimension_of, space_of
from katibpy.api.experiment import FeasibleSpace, ParameterSpec


def _dimension(kind: str, **feasible: object) -> Dimension:
    return dimension_of(_spec("x", kind, **feasible))


def _spec(name: str, kind: str, **feasible: object) -> ParameterSpec:
    return ParameterSpec(
        name=name, parameter_type=kind, feasible_space=FeasibleSpace.model_validate(feasible)
    )


def _draws(dimension: Dimension, count: int = 20_000) -> list[float]:
    return [float(dimension.from_unit(float(unit))) for unit in generator(5, 0).random(count)]


def _values(dimension: Dimension) -> list[object]:
    return [dimension.at(index) for index in range(dimension.cardinality or 0)]


def test_a_stepped_double_adds_no_error_along_the_way() -> None:
    dimension = _dimension("double", min="0.1", max="1", step="0.1")
    texts = [dimension.format(dimension.at(index)) for index in range(10)]
    assert texts == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]


@pytest.mark.parametrize(
    ("kind", "low", "high", "step", "values"),
    [
        ("int", "1", "10", "4", [1, 5, 9]),
        ("double", "0.1", "1", "0.25", [0.1, 0.35, 0.6, 0.85]),
        ("double", "0", "0.2", "0.5", [0.0]),
        ("int", "-3", "0", None, [-3, -2, -1, 0]),
    ],
)
def test_a_grid_starts_at_min_and_never_leaves_the_range(
    kind: str, low: str, high: str, step: str | None, values: list[float]
) -> None:
    dimension = _dimension(kind, min=low, max=high, **({"step": step} if step else {}))
    assert _values(dimension) == values
    assert {dimension.from_unit(float(unit)) for unit in generator(1, 0).random(300)} == set(values)


def test_a_uniform_grid_gives_its_ends_their_full_share() -> None:
    dimension = _dimension("int", min="1", max="3")
    counts = np.bincount(np.array(_draws(dimension, 3000), dtype=int))[1:]
    assert chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize(
    ("distribution", "low", "high", "cdf"),
    [
        ("uniform", -2.0, 3.0, lambda x: (x + 2) / 5),
        ("logUniform", 1e-4, 10.0, lambda x: (np.log(x) - math.log(1e-4)) / (math.log(10) - math.log(1e-4))),
        (
            "normal",
            -2.0,
            3.0,
            lambda x: (norm.cdf(x, 0.5, 5 / 6) - norm.cdf(-3)) / (norm.cdf(3) - norm.cdf(-3)),
        ),
        (
            "logNormal",
            1e-4,
            10.0,
            lambda x: (
                (lognorm.cdf(x, math.log(1e5) / 6, scale=math.sqrt(1e-3)) - norm.cdf(-3))
                / (norm.cdf(3) - norm.cdf(-3))
            ),
        ),
    ],
)
def test_doubles_follow_their_distribution_cut_to_the_range(
    distribution: str, low: float, high: float, cdf: object
) -> None:
    drawn = _draws(_dimension("double", min=repr(low), max=repr(high), distribution=distribution))
    assert low <= min(drawn) <= max(drawn) <= high
    assert kstest(drawn, cdf).pvalue > 0.01


@pytest.mark.parametrize("distribution", ["logUniform", "normal", "logNormal"])
@pytest.mark.parametrize(("low", "high", "step"), [(1, 20, 1), (4, 43, 3)])
def test_a_grid_value_has_the_mass_around_it(distribution: str, low: int, high: int, step: int) -> None:
    dimension = _dimension("int", min=str(low), max=str(high), step=str(step), distribution=distribution)
    assert isinstance(dimension, IntDimension)
    edges = np.arange(low, high + 2 * step, step)[: dimension.cardinality + 1] - step / 2
    if distribution == "normal":
        below = norm.cdf(edges, (low + high) / 2, (high - low) / 6)
    elif distribution == "logNormal":
        below = norm.cdf(np.log(edges), math.log(low * high) / 2, math.log(high / low) / 6)
    else:
        below = np.log(edges)
    expected = np.diff(below) / (below[-1] - below[0])
    np.testing.assert_allclose(dimension.masses(), expected, rtol=1e-9)
    counts = np.bincount([dimension.index_of(int(value)) for value in _draws(dimension)])
    assert chisquare(counts, expected * counts.sum()).pvalue > 0.001


def test_half_a_step_below_the_lowest_value_of_a_logarithmic_grid_may_be_negative() -> None:
    dimension = _dimension("double", min="0.1", max="1", step="0.25", distribution="logUniform")
    masses = dimension.masses()
    assert math.isclose(masses.sum(), 1.0)
    assert list(masses) == sorted(masses, reverse=True)


def test_numbers_of_a_list_ascend_and_keep_their_spelling() -> None:
    dimension = _dimension("discrete", list=("32", "0.50", "1e2", "8.0"))
    assert _values(dimension) == [0.5, 8.0, 32, 100.0]
    assert [dimension.format(value) for value in (0.5, 8.0, 32, 100.0)] == ["0.50", "8.0", "32", "1e2"]
    assert dimension.parse("8") == 8.0
    assert dimension.parse("7") is None


def test_choices_are_texts_also_when_they_look_like_numbers() -> None:
    dimension = _dimension("categorical", list=("1.0", "1", "a b"))
    assert _values(dimension) == ["1.0", "1", "a b"]
    assert dimension.parse("1.00") is None


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-0.01", "1.01", "1e400"])
def test_a_double_refuses_what_is_outside(text: str) -> None:
    assert _dimension("double", min="0", max="1").parse(text) is None
    assert _dimension("double", min="0", max="1", step="0.1").parse(text) is None


def test_a_binary_rounding_error_beside_a_grid_value_means_that_value() -> None:
    dimension = _dimension("double", min="0.1", max="1", step="0.1")
    assert dimension.parse("0.30000000000000004") == 0.3
    assert dimension.parse("0.301") is None


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("3.0", 3), (" 3 ", 3), ("3.5", None), ("11", None)])
def test_an_int_takes_whole_numbers_in_any_spelling(text: str, value: int | None) -> None:
    assert _dimension("int", min="1", max="10").parse(text) == value


def test_huge_whole_numbers_stay_exact() -> None:
    dimension = _dimension("int", min="0", max=str(10**30))
    assert dimension.cardinality == 10**30 + 1
    assert dimension.format(dimension.at(10**30)) == str(10**30)
    assert dimension.parse(str(10**29 + 1)) == 10**29 + 1


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_range_as_wide_as_doubles_go_does_not_overflow(distribution: str) -> None:
    dimension = _dimension("double", min="-1.7e308", max="1.7e308", distribution=distribution)
    drawn = _draws(dimension, 1000)
    assert all(map(math.isfinite, drawn))
    assert min(drawn) < 0 < max(drawn)


def test_a_tiny_exponent_is_not_written_out() -> None:
    assert _dimension("double", min="1e-999999999", max="1", step="0.5").cardinality == 3


def test_the_last_parameter_turns_fastest() -> None:
    space = space_of([_spec("a", "int", min="0", max="1"), _spec("b", "categorical", list=("x", "y", "z"))])
    assert space.cardinality == 6
    assert [tuple(space.at(index).values()) for index in range(4)] == [(0, "x"), (0, "y"), (0, "z"), (1, "x")]
    with pytest.raises(IndexError):
        space.at(6)


def test_a_double_without_step_makes_the_space_endless() -> None:
    space = space_of([_spec("a", "int", min="0", max="1"), _spec("b", "double", min="0", max="1")])
    assert space.cardinality is None
    with pytest.raises(IndexError):
        space.at(0)


def test_an_assignment_from_elsewhere_loses_what_the_space_lacks() -> None:
    space = space_of([_spec("a", "int", min="0", max="5"), _spec("b", "double", min="0", max="1")])
    assert space.parse_assignment({"a": "7", "b": "0.5", "c": "1"}) == {"b": 0.5}
    assert space.key({"b": 0.5}) is None
