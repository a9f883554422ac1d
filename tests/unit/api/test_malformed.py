from __future__ import annotations

import pytest

from katibpy.api.codec import load_documents
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.validation import validate_experiment
from katibpy.errors import FieldError, InvalidResource
from tests.unit.api.malformed_base import Case
from tests.unit.api.malformed_cases import CASES
from tests.unit.api.valid_cases import VALID

ALGORITHMS = {
    "bayesianoptimization",
    "cmaes",
    "darts",
    "enas",
    "grid",
    "hyperband",
    "multivariate-tpe",
    "pbt",
    "random",
    "sobol",
    "tpe",
}


def problems(text: str) -> tuple[FieldError, ...]:
    try:
        (document,) = load_documents(text)
    except InvalidResource as error:
        return error.errors
    assert isinstance(document.resource, Experiment)
    found = validate_experiment(
        with_defaults(document.resource), known_algorithms=ALGORITHMS, known_stopping={"medianstop"}
    )
    return document.located(found)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_broken_rule_is_named_with_path_rule_value_and_line(case: Case) -> None:
    found = [error for error in problems(case.text) if error.path == case.path]
    assert len(found) == 1, problems(case.text)
    missing = [fragment for fragment in case.fragments if fragment not in found[0].message]
    assert not missing, found[0]
    assert found[0].line is not None
    assert 1 <= found[0].line <= len(case.text.splitlines())
    assert "Traceback" not in str(found[0])
    assert "\n" not in str(found[0])


def test_there_are_enough_cases_and_each_breaks_a_rule_of_its_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_experiments_of_every_documented_shape_are_accepted(text: str) -> None:
    assert problems(text) == ()


def test_only_the_resource_of_a_search_may_have_one_value() -> None:
    one_value = VALID["hyperband"].replace('min: "1", max: "9"', 'min: "9", max: "9"')
    assert one_value != VALID["hyperband"]
    assert problems(one_value) == ()
    (found,) = problems(one_value.replace("value: momentum", "value: lr"))
    assert "must be less than max (9)" in found.message


def test_all_problems_come_at_once_in_the_order_of_the_document() -> None:
    text = VALID["random"].replace("minimize", "less").replace("maxTrialCount: 12", "maxTrialCount: 1")
    found = problems(text.replace("name: random,", "name: Random,"))
    assert [error.path for error in found] == [
        "metadata.name",
        "spec.objective.type",
        "spec.parallelTrialCount",
        "spec.maxFailedTrialCount",
    ]
    lines = [error.line or 0 for error in found]
    assert lines == sorted(lines)


def test_algorithm_names_are_not_judged_when_none_are_known() -> None:
    (document,) = load_documents(VALID["random"].replace("algorithmName: random", "algorithmName: theirs"))
    assert isinstance(document.resource, Experiment)
    experiment = with_defaults(document.resource)
    assert validate_experiment(experiment, known_algorithms=None, known_stopping=None) == ()
