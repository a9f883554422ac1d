"""Experiments with a bad search space."""

from __future__ import annotations

from tests.unit.api.malformed_base import Case, swap
from tests.unit.api.valid_cases import COUNTS, JOB, NAS_TEMPLATE, OBJECTIVE, OPERATIONS, experiment, usual

_SPACE = "spec.parameters[0].feasibleSpace"


def _space(kind: str, space: str) -> str:
    """The first of two parameters gets another type and space."""
    return swap(
        'parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}',
        f"parameterType: {kind}, feasibleSpace: {{{space}}}",
    )


def _nas(config: str) -> str:
    return experiment(
        "broken",
        OBJECTIVE,
        COUNTS,
        config,
        NAS_TEMPLATE.format(entries="{name: a, reference: architecture}", arguments='"${trialParameters.a}"'),
        algorithm="enas",
    )


def _operations(text: str) -> str:
    return _nas(f"nasConfig: {{graphConfig: {{numLayers: 2}}, operations: [{text}]}}")


CASES: list[Case] = [
    # Search space.
    Case(
        "no-search-space",
        experiment("broken", OBJECTIVE, COUNTS, JOB),
        "spec.parameters",
        ("must be set", "got neither"),
    ),
    Case(
        "two-search-spaces",
        usual("broken", "nasConfig:\n  graphConfig: {numLayers: 2}\n  operations: []"),
        "spec",
        ("either parameters or nasConfig", "got both"),
    ),
    Case(
        "parameter-without-name",
        swap("{name: lr, parameterType", '{name: "", parameterType'),
        "spec.parameters[0].name",
        ("must be set", "got nothing"),
    ),
    Case(
        "parameter-twice",
        swap("{name: momentum, parameterType", "{name: lr, parameterType"),
        "spec.parameters[1].name",
        ("not used before", "'lr'"),
    ),
    Case(
        "bad-parameter-type",
        _space("float", "min: 0, max: 1"),
        "spec.parameters[0].parameterType",
        ("double, int, discrete, categorical", "'float'"),
    ),
    Case(
        "unknown-parameter-type",
        _space("unknown", "min: 0, max: 1"),
        "spec.parameters[0].parameterType",
        ("double, int, discrete, categorical", "'unknown'"),
    ),
    Case(
        "bad-distribution",
        _space("double", "min: 1, max: 2, distribution: loguniform"),
        f"{_SPACE}.distribution",
        ("logUniform", "'loguniform'", "did you mean `logUniform`"),
    ),
    Case(
        "distribution-for-a-list",
        _space("categorical", "list: [a], distribution: normal"),
        f"{_SPACE}.distribution",
        ("must not be set for parameterType categorical", "'normal'"),
    ),
    Case(
        "list-for-a-range",
        _space("int", "min: 1, max: 2, list: [1]"),
        f"{_SPACE}.list",
        ("must not be set for parameterType int", "['1']"),
    ),
    Case(
        "no-max",
        _space("double", "min: 1"),
        f"{_SPACE}.max",
        ("must be set for parameterType double", "got nothing"),
    ),
    Case(
        "no-min",
        _space("int", "max: 1"),
        f"{_SPACE}.min",
        ("must be set for parameterType int", "got nothing"),
    ),
    Case(
        "min-for-a-list",
        _space("categorical", "list: [a], min: 1"),
        f"{_SPACE}.min",
        ("must not be set for parameterType categorical", "'1'"),
    ),
    Case(
        "step-for-a-list",
        _space("discrete", "list: [1], step: 2"),
        f"{_SPACE}.step",
        ("must not be set for parameterType discrete", "'2'"),
    ),
    Case(
        "min-above-max",
        _space("double", "min: 0.5, max: 0.1"),
        f"{_SPACE}.min",
        ("must be less than max (0.1)", "'0.5'"),
    ),
    Case(
        "one-point-range",
        _space("int", "min: 3, max: 3"),
        f"{_SPACE}.min",
        ("must be less than max (3)", "fixed value into the trial template"),
    ),
    Case(
        "bound-is-no-number",
        _space("double", "min: low, max: 1"),
        f"{_SPACE}.min",
        ("must be a finite number", "'low'"),
    ),
    Case(
        "bound-is-not-finite",
        _space("double", "min: 0, max: .inf"),
        f"{_SPACE}.max",
        ("must be a finite number", "'.inf'"),
    ),
    Case(
        "fraction-for-an-int",
        _space("int", "min: 1.5, max: 3"),
        f"{_SPACE}.min",
        ("must be a whole number", "'1.5'"),
    ),
    Case(
        "step-is-no-number",
        _space("double", "min: 0, max: 1, step: small"),
        f"{_SPACE}.step",
        ("must be a finite number", "'small'"),
    ),
    Case(
        "step-of-zero",
        _space("double", "min: 0, max: 1, step: 0"),
        f"{_SPACE}.step",
        ("must be greater than 0", "'0'"),
    ),
    Case(
        "step-too-long",
        _space("int", "min: 0, max: 4, step: 5"),
        f"{_SPACE}.step",
        ("must be at most max - min (4)", "'5'"),
    ),
    Case(
        "logarithm-of-zero",
        _space("double", "min: 0, max: 1, distribution: logUniform"),
        f"{_SPACE}.min",
        ("must be greater than 0 for distribution logUniform", "'0'"),
    ),
    Case(
        "empty-list",
        _space("categorical", "list: []"),
        f"{_SPACE}.list",
        ("at least one item", "got nothing"),
    ),
    Case("no-list", _space("discrete", ""), f"{_SPACE}.list", ("at least one item", "got nothing")),
    Case(
        "word-in-a-discrete-list",
        _space("discrete", "list: [1, two]"),
        f"{_SPACE}.list[1]",
        ("must be a finite number", "'two'"),
    ),
    Case(
        "list-item-twice",
        _space("discrete", "list: [1, 1.0]"),
        f"{_SPACE}.list[1]",
        ("must not repeat a value", "'1.0'"),
    ),
    # Architecture search.
    Case(
        "no-layers",
        _nas("nasConfig: {graphConfig: {inputSizes: [1]}, operations: []}"),
        "spec.nasConfig.graphConfig.numLayers",
        ("must be set", "got nothing"),
    ),
    Case(
        "zero-layers",
        _nas("nasConfig: {graphConfig: {numLayers: 0}, operations: []}"),
        "spec.nasConfig.graphConfig.numLayers",
        ("at least 1", "got 0"),
    ),
    Case(
        "zero-size",
        _nas("nasConfig: {graphConfig: {numLayers: 1, outputSizes: [0]}, operations: []}"),
        "spec.nasConfig.graphConfig.outputSizes[0]",
        ("at least 1", "got 0"),
    ),
    Case(
        "no-operations",
        _operations(""),
        "spec.nasConfig.operations",
        ("at least one operation", "got nothing"),
    ),
    Case(
        "operation-without-type",
        _operations("{parameters: [{name: a, parameterType: categorical, feasibleSpace: {list: [a]}}]}"),
        "spec.nasConfig.operations[0].operationType",
        ("must be set", "got nothing"),
    ),
    Case(
        "operation-twice",
        _nas(
            "nasConfig:\n  graphConfig: {numLayers: 2}\n"
            + OPERATIONS.replace("skip_connection", "separable_convolution").replace("\n", "\n  ")
        ),
        "spec.nasConfig.operations[1].operationType",
        ("not used before", "'separable_convolution'"),
    ),
    Case(
        "operation-without-parameters",
        _operations("{operationType: conv}"),
        "spec.nasConfig.operations[0].parameters",
        ("at least one parameter", "got nothing"),
    ),
    Case(
        "operation-double-without-step",
        _operations(
            "{operationType: conv, parameters: "
            "[{name: a, parameterType: double, feasibleSpace: {min: 0, max: 1}}]}"
        ),
        "spec.nasConfig.operations[0].parameters[0].feasibleSpace.step",
        ("must be set for a double", "got nothing"),
    ),
]
