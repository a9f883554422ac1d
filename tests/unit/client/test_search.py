from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from katibpy.api.encode import to_dict
from katibpy.api.experiment import ParameterSpec
from katibpy.client import search
from katibpy.client.search import ListedSpec
from katibpy.errors import InputError


class Optimizer:
    """A choice that is a class."""


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (search.double(0.1, 1), {"min": "0.1", "max": "1.0"}),
        (search.double(np.float64(1e-5), np.int64(2), 0.5), {"min": "1e-05", "max": "2.0", "step": "0.5"}),
        (search.int(1, 9, 2), {"min": "1", "max": "9", "step": "2"}),
        (search.int(np.int32(3), 10**18), {"min": "3", "max": "1000000000000000000"}),
        (search.log_double(1, 10), {"min": "1.0", "max": "10.0", "distribution": "logUniform"}),
        (
            search.int(1, 64, distribution="logUniform"),
            {"min": "1", "max": "64", "distribution": "logUniform"},
        ),
        (search.discrete([1, 2.5, np.int64(4)]), {"list": ["1", "2.5", "4"]}),
        (search.categorical(["sgd", "adam"]), {"list": ["sgd", "adam"]}),
        (
            search.categorical([(8, 8), True, None, 3, 0.5, Optimizer]),
            {"list": ["(8, 8)", "True", "None", "3", "0.5", "Optimizer"]},
        ),
        (search.categorical(np.array([1, 2])), {"list": ["1", "2"]}),
    ],
)
def test_a_dimension_is_written_as_katib_writes_it(spec: ParameterSpec, expected: dict[str, Any]) -> None:
    assert to_dict(spec)["feasibleSpace"] == expected


def test_the_types_are_katibs() -> None:
    specs = [search.double(0, 1), search.int(0, 1), search.discrete([1]), search.categorical(["a"])]
    assert [spec.parameter_type for spec in specs] == ["double", "int", "discrete", "categorical"]


def test_a_listed_dimension_keeps_the_objects_behind_its_texts() -> None:
    spec = search.categorical(["relu", (8, 8), Optimizer])
    assert isinstance(spec, ListedSpec)
    assert spec.values_by_text == {"relu": "relu", "(8, 8)": (8, 8), "Optimizer": Optimizer}
    numbers = search.discrete([1, 2.0])
    assert isinstance(numbers, ListedSpec)
    assert [type(value) for value in numbers.values_by_text.values()] == [int, float]


def test_the_objects_are_no_part_of_what_is_written() -> None:
    assert to_dict(search.categorical([object])) == {
        "parameterType": "categorical",
        "feasibleSpace": {"list": ["object"]},
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: search.double("0.1", 1), "min of a search parameter must be a finite number, got '0.1'"),  # type: ignore[arg-type]
        (
            lambda: search.double(0, float("inf")),
            "max of a search parameter must be a finite number, got inf",
        ),
        (lambda: search.int(1, 2.5), "max of search.int must be a whole number, got 2.5"),  # type: ignore[arg-type]
        (lambda: search.discrete([]), "search.discrete must have at least one value"),
        (lambda: search.discrete([1, "2"]), "must be a finite number, got '2'"),  # type: ignore[list-item]
        (lambda: search.categorical("adam"), "must have a list of values, got the string 'adam'"),
        (lambda: search.categorical(["1", 1]), "must have distinct values, got 1 twice"),
        (lambda: search.categorical([object()]), "text is the same in every process"),
    ],
)
def test_what_is_no_dimension_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)
