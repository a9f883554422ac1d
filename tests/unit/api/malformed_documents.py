"""Files that are no Experiment: unknown kinds and fields, wrong types."""

from __future__ import annotations

from tests.unit.api.malformed_base import Case, swap

_SPACE = "spec.parameters[0].feasibleSpace"
_TEMPLATE = "spec.trialTemplate"


def _space(kind: str, space: str) -> str:
    """The first of two parameters gets another type and space."""
    return swap(
        'parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}',
        f"parameterType: {kind}, feasibleSpace: {{{space}}}",
    )


CASES: list[Case] = [
    # The document itself.
    Case(
        "unknown-kind",
        swap("kind: Experiment", "kind: Experimnt"),
        "kind",
        ("'Experimnt'", "did you mean `Experiment`"),
    ),
    Case("no-kind", swap("kind: Experiment\n", ""), "kind", ("got nothing",)),
    Case(
        "unknown-version",
        swap("v1beta1", "v1alpha3"),
        "apiVersion",
        ("kubeflow.org/v1beta1", "'kubeflow.org/v1alpha3'"),
    ),
    Case(
        "no-version",
        swap("apiVersion: kubeflow.org/v1beta1\n", ""),
        "apiVersion",
        ("must be", "got nothing"),
    ),
    Case("not-a-mapping", "- 1\n", "document", ("must be a mapping", "a list")),
    Case(
        "unknown-field",
        swap("parallelTrialCount", "paralelTrialCount"),
        "spec.paralelTrialCount",
        ("is not a field of spec", "did you mean `parallelTrialCount`"),
    ),
    Case(
        "misplaced-field",
        swap("maxTrialCount: 12", "goal: 12"),
        "spec.goal",
        ("is not a field of spec", "it belongs in spec.objective"),
    ),
    Case(
        "word-for-a-count",
        swap("maxTrialCount: 12", "maxTrialCount: three"),
        "spec.maxTrialCount",
        ("must be an integer", "'three'"),
    ),
    Case(
        "fraction-for-a-count",
        swap("maxTrialCount: 12", "maxTrialCount: 1.5"),
        "spec.maxTrialCount",
        ("must be an integer", "1.5"),
    ),
    Case(
        "quoted-count",
        swap("maxTrialCount: 12", 'maxTrialCount: "12"'),
        "spec.maxTrialCount",
        ("must be an integer", "'12'", "remove the quotes"),
    ),
    Case(
        "word-for-a-flag",
        swap("trialTemplate:", "trialTemplate:\n    retain: maybe"),
        f"{_TEMPLATE}.retain",
        ("must be true or false", "'maybe'"),
    ),
    Case(
        "text-for-a-list",
        swap('feasibleSpace: {min: "0.01", max: "0.05"}', "feasibleSpace: {list: a}"),
        f"{_SPACE}.list",
        ("must be a list", "'a'"),
    ),
    Case(
        "list-for-a-mapping",
        swap("algorithm: {algorithmName: random, algorithmSettings: []}", "algorithm: [random]"),
        "spec.algorithm",
        ("must be a mapping", "a list"),
    ),
    Case(
        "mapping-for-a-text",
        swap("algorithmName: random", "algorithmName: {name: random}"),
        "spec.algorithm.algorithmName",
        ("must be a string", "a mapping"),
    ),
    Case(
        "null-in-a-list",
        _space("categorical", "list: [a, ~]"),
        f"{_SPACE}.list[1]",
        ("must be a string", "null"),
    ),
    Case(
        "duplicate-key",
        swap("maxTrialCount: 12", "maxTrialCount: 12\n  maxTrialCount: 13"),
        "spec.maxTrialCount",
        ("is given twice", "first on line"),
    ),
    Case(
        "setting-without-value",
        swap("algorithmSettings: []", "algorithmSettings: [{name: gamma}]"),
        "spec.algorithm.algorithmSettings[0].value",
        ("must be present", "got nothing"),
    ),
]
