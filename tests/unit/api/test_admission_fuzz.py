"""Whatever is wrong with an Experiment, it is said in field errors: nothing else ever comes out."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.api.codec import load_documents, load_object, to_dict
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.template import compile_template
from katibpy.api.validation import validate_experiment, validate_update
from katibpy.errors import InvalidResource
from tests.unit.api.valid_cases import VALID

DOCUMENTS = [to_dict(load_documents(text)[0].resource) for text in VALID.values()]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            -1,
            1.5,
            2**40,
            10**400,
            math.inf,
            math.nan,
            "",
            " ",
            "x",
            "1e999",
            "-0",
            "0x10",
            "٣",
        ),
        *(
            "${trialParameters.}",
            "${trialParameters.momentum}",
            "${trialSpec.Labels[",
            "(",
            "(a)(b)" * 99,
            "a" * 9999,
        ),
        *(
            [],
            {},
            [[]],
            {"": {}},
            {"a.b": [1]},
            ["x", "x"],
            [None],
            {"name": ["x"]},
            [{"name": {}}],
            [{}, {}],
        ),
    ]
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *[each for key, child in children for each in places(child, (*path, key))]]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)[1:]))
        parent: Any = document
        for step in path[:-1]:
            parent = parent[step]
        if draw(st.booleans()) and isinstance(parent, dict):
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(draw(JUNK))
    return document


@settings(max_examples=500)
@given(data=damaged(), allow_unknown=st.booleans())
def test_damage_is_told_in_field_errors(data: dict[str, Any], allow_unknown: bool) -> None:
    try:
        resource = load_object(data, allow_unknown=allow_unknown).resource
    except InvalidResource:
        return
    if not isinstance(resource, Experiment):
        return
    experiment = with_defaults(resource)
    assert with_defaults(experiment) == experiment
    errors = validate_experiment(experiment, known_algorithms={"random"}, known_stopping=())
    assert all(error.path and error.message for error in errors)
    validate_update(resource, experiment.but(spec=experiment.spec.but(seed=7)))
    template = experiment.spec.trial_template
    if not errors and template is not None and template.trial_spec is not None:
        compile_template(template)
