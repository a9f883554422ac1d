"""Experiments with a bad name, count, policy, objective or algorithm."""

from __future__ import annotations

from tests.unit.api.malformed_base import Case, swap
from tests.unit.api.valid_cases import COUNTS, JOB, PARAMETERS, VALID, experiment, usual

CASES: list[Case] = [
    # Metadata.
    Case("no-name", swap("name: broken, ", ""), "metadata.name", ("must be set", "got nothing")),
    Case(
        "bad-name",
        swap("name: broken", "name: a.b"),
        "metadata.name",
        ("must start with a lower case letter", "'a.b'"),
    ),
    Case(
        "name-with-a-hyphen-at-the-end",
        swap("name: broken", "name: a-"),
        "metadata.name",
        ("end with a lower case letter or digit", "'a-'"),
    ),
    Case(
        "long-name",
        swap("name: broken", f"name: {'a' * 41}"),
        "metadata.name",
        ("at most 40 characters", "41"),
    ),
    Case(
        "bad-namespace",
        swap("namespace: kubeflow", "namespace: Team_A"),
        "metadata.namespace",
        ("lower case letters", "'Team_A'"),
    ),
    Case(
        "bad-label",
        swap("name: broken", "name: broken, labels: {team: a b}"),
        "metadata.labels.team",
        ("letters, digits", "'a b'"),
    ),
    # Counts and policies.
    Case(
        "negative-failures",
        swap("maxFailedTrialCount: 3", "maxFailedTrialCount: -1"),
        "spec.maxFailedTrialCount",
        ("must be from 0", "-1"),
    ),
    Case(
        "no-trials",
        swap("maxTrialCount: 12", "maxTrialCount: 0"),
        "spec.maxTrialCount",
        ("must be from 1", "got 0"),
    ),
    Case(
        "no-parallel-trials",
        swap("parallelTrialCount: 3", "parallelTrialCount: 0"),
        "spec.parallelTrialCount",
        ("must be from 1", "got 0"),
    ),
    Case(
        "huge-count",
        swap("maxTrialCount: 12", "maxTrialCount: 3000000000"),
        "spec.maxTrialCount",
        ("2147483647", "3000000000"),
    ),
    Case(
        "more-failures-than-trials",
        swap("maxFailedTrialCount: 3", "maxFailedTrialCount: 13"),
        "spec.maxFailedTrialCount",
        ("must be at most spec.maxTrialCount (12)", "13"),
    ),
    Case(
        "more-parallel-than-trials",
        swap("parallelTrialCount: 3", "parallelTrialCount: 13"),
        "spec.parallelTrialCount",
        ("must be at most spec.maxTrialCount (12)", "13"),
    ),
    Case(
        "bad-resume-policy",
        usual("broken", "resumePolicy: Always"),
        "spec.resumePolicy",
        ("Never, LongRunning, FromVolume", "'Always'"),
    ),
    Case("negative-seed", usual("broken", "seed: -1"), "spec.seed", ("at least 0", "-1")),
    # Objective.
    Case(
        "no-objective",
        experiment("broken", COUNTS, PARAMETERS, JOB),
        "spec.objective",
        ("must be set", "got nothing"),
    ),
    Case(
        "bad-objective-type",
        swap("type: minimize", "type: minimise"),
        "spec.objective.type",
        ("minimize, maximize", "'minimise'", "did you mean `minimize`"),
    ),
    Case(
        "no-metric",
        swap("objectiveMetricName: loss", "additionalMetricNames: [a]"),
        "spec.objective.objectiveMetricName",
        ("must be set", "got nothing"),
    ),
    Case(
        "goal-is-no-number",
        swap("goal: 0.001", "goal: low"),
        "spec.objective.goal",
        ("must be a number", "'low'"),
    ),
    Case(
        "goal-is-not-finite",
        swap("goal: 0.001", "goal: .inf"),
        "spec.objective.goal",
        ("must be a finite number", "inf"),
    ),
    Case(
        "additional-is-objective",
        swap("goal: 0.001", "additionalMetricNames: [acc, loss]"),
        "spec.objective.additionalMetricNames[1]",
        ("must not be spec.objective.objectiveMetricName", "'loss'"),
    ),
    Case(
        "additional-twice",
        swap("goal: 0.001", "additionalMetricNames: [acc, acc]"),
        "spec.objective.additionalMetricNames[1]",
        ("not used before", "'acc'"),
    ),
    Case(
        "additional-empty",
        swap("goal: 0.001", 'additionalMetricNames: [""]'),
        "spec.objective.additionalMetricNames[0]",
        ("must be set", "got nothing"),
    ),
    Case(
        "strategy-for-no-metric",
        swap("goal: 0.001", "metricStrategies: [{name: los, value: min}]"),
        "spec.objective.metricStrategies[0].name",
        ("must be one of loss", "'los'"),
    ),
    Case(
        "bad-strategy",
        swap("goal: 0.001", "metricStrategies: [{name: loss, value: mean}]"),
        "spec.objective.metricStrategies[0].value",
        ("min, max, latest", "'mean'"),
    ),
    Case(
        "strategy-twice",
        swap("goal: 0.001", "metricStrategies: [{name: loss, value: min}, {name: loss, value: max}]"),
        "spec.objective.metricStrategies[1].name",
        ("not used before", "'loss'"),
    ),
    # Algorithms.
    Case(
        "no-algorithm-for-architectures",
        swap("  algorithm: {algorithmName: darts, algorithmSettings: []}\n", "", VALID["darts"]),
        "spec.algorithm",
        ("must be set", "got nothing"),
    ),
    Case(
        "no-algorithm-name-for-architectures",
        swap("algorithmName: darts, ", "", VALID["darts"]),
        "spec.algorithm.algorithmName",
        ("must be set", "got nothing"),
    ),
    Case(
        "unknown-algorithm",
        swap("algorithmName: random", "algorithmName: randon"),
        "spec.algorithm.algorithmName",
        ("must be a known algorithm", "'randon'", "did you mean `random`"),
    ),
    Case(
        "setting-twice",
        swap("algorithmSettings: []", "algorithmSettings: [{name: a, value: 1}, {name: a, value: 2}]"),
        "spec.algorithm.algorithmSettings[1].name",
        ("not used before", "'a'"),
    ),
    Case(
        "setting-without-name",
        swap("algorithmSettings: []", 'algorithmSettings: [{name: "", value: 1}]'),
        "spec.algorithm.algorithmSettings[0].name",
        ("must be set", "got nothing"),
    ),
    Case(
        "no-stopping-name",
        usual("broken", "earlyStopping: {}"),
        "spec.earlyStopping.algorithmName",
        ("must be set", "got nothing"),
    ),
    Case(
        "unknown-stopping",
        usual("broken", "earlyStopping: {algorithmName: medianstopp}"),
        "spec.earlyStopping.algorithmName",
        ("known early stopping algorithm", "'medianstopp'", "did you mean `medianstop`"),
    ),
]
