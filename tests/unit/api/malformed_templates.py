"""Experiments with a bad trial template."""

from __future__ import annotations

from tests.unit.api.malformed_base import Case, swap
from tests.unit.api.valid_cases import COUNTS, OBJECTIVE, PARAMETERS, experiment, usual

_TEMPLATE = "spec.trialTemplate"
_JOB = f"{_TEMPLATE}.trialSpec"
_POD = f"{_JOB}.spec.template.spec"
_CONFIG_MAP = """
trialTemplate:
  primaryContainerName: training
  successCondition: done
  failureCondition: failed
  configMap: {%s}
  trialParameters: [{name: learningRate, reference: lr}, {name: momentum, reference: momentum}]
"""


def _config_map(fields: str) -> str:
    return experiment("broken", OBJECTIVE, COUNTS, PARAMETERS, _CONFIG_MAP % fields)


CASES: list[Case] = [
    # Trial template.
    Case(
        "no-template",
        experiment("broken", OBJECTIVE, COUNTS, PARAMETERS),
        _TEMPLATE,
        ("must be set", "got nothing"),
    ),
    Case(
        "no-primary-container",
        swap("    primaryContainerName: training\n", ""),
        f"{_TEMPLATE}.primaryContainerName",
        ("must be set", "got nothing"),
    ),
    Case(
        "unknown-primary-container",
        swap("primaryContainerName: training", "primaryContainerName: trainning"),
        f"{_TEMPLATE}.primaryContainerName",
        ("name of a container", "'trainning'", "did you mean `training`"),
    ),
    Case(
        "unknown-job-without-condition",
        swap("kind: Job", "kind: Workflow"),
        f"{_TEMPLATE}.successCondition",
        ("must be set for a job of kind", "got nothing"),
    ),
    Case(
        "volcano-job-without-condition",
        swap("batch/v1", "batch.volcano.sh/v1alpha1"),
        f"{_TEMPLATE}.failureCondition",
        ("must be set for a job of kind", "got nothing"),
    ),
    Case(
        "bad-condition",
        swap("trialTemplate:", 'trialTemplate:\n    successCondition: a.#(b=="c"'),
        f"{_TEMPLATE}.successCondition",
        ("must have ')'", "position 11", "the end"),
    ),
    Case(
        "no-trial-parameters",
        swap(
            "trialParameters:\n      - {name: learningRate, description: Step size, reference: lr}\n"
            "      - {name: momentum, reference: momentum}\n",
            "retain: true\n",
        ),
        f"{_TEMPLATE}.trialParameters",
        ("must be set", "got nothing"),
    ),
    Case(
        "no-source",
        experiment(
            "broken",
            OBJECTIVE,
            COUNTS,
            PARAMETERS,
            "trialTemplate: {primaryContainerName: a, successCondition: a, failureCondition: b, "
            "trialParameters: [{name: lr, reference: lr}, {name: m, reference: momentum}]}",
        ),
        f"{_TEMPLATE}.trialSpec",
        ("must be set unless there is a configMap", "got neither"),
    ),
    Case(
        "two-sources",
        swap(
            "trialTemplate:",
            "trialTemplate:\n    configMap: {configMapName: a, configMapNamespace: b, templatePath: c}",
        ),
        _TEMPLATE,
        ("either trialSpec or configMap", "got both"),
    ),
    Case(
        "no-config-map-name",
        _config_map("configMapNamespace: b, templatePath: c"),
        f"{_TEMPLATE}.configMap.configMapName",
        ("must be set", "got nothing"),
    ),
    Case(
        "no-config-map-namespace",
        _config_map("configMapName: a, templatePath: c"),
        f"{_TEMPLATE}.configMap.configMapNamespace",
        ("must be set", "got nothing"),
    ),
    Case(
        "no-template-path",
        _config_map("configMapName: a, configMapNamespace: b"),
        f"{_TEMPLATE}.configMap.templatePath",
        ("must be set", "got nothing"),
    ),
    Case(
        "trial-parameter-without-name",
        swap("{name: learningRate, ", "{"),
        f"{_TEMPLATE}.trialParameters[0].name",
        ("must be set", "got nothing"),
    ),
    Case(
        "trial-parameter-with-braces",
        swap("{name: learningRate, ", '{name: "{lr}", '),
        f"{_TEMPLATE}.trialParameters[0].name",
        ("must not contain", "'{lr}'"),
    ),
    Case(
        "trial-parameter-without-reference",
        swap(", reference: lr}", "}"),
        f"{_TEMPLATE}.trialParameters[0].reference",
        ("must be set", "got nothing"),
    ),
    Case(
        "trial-parameter-twice",
        swap("{name: momentum, reference", "{name: learningRate, reference"),
        f"{_TEMPLATE}.trialParameters[1].name",
        ("not used before", "'learningRate'"),
    ),
    Case(
        "reference-twice",
        swap("reference: momentum}", "reference: lr}"),
        f"{_TEMPLATE}.trialParameters[1].reference",
        ("not used before", "'lr'"),
    ),
    Case(
        "reference-to-nothing",
        swap("reference: momentum}", "reference: momentun}"),
        f"{_TEMPLATE}.trialParameters[1].reference",
        (
            "must be the name of one of spec.parameters (lr, momentum)",
            "'momentun'",
            "did you mean `momentum`",
        ),
    ),
    Case(
        "parameter-nobody-refers-to",
        swap("reference: momentum}", "reference: momentun}"),
        "spec.parameters[1].name",
        ("must be the reference", "'momentum'"),
    ),
    Case(
        "reference-to-no-metadata",
        swap("trialParameters:", 'trialParameters:\n      - {name: uid, reference: "${trialSpec.Uid}"}'),
        f"{_TEMPLATE}.trialParameters[0].reference",
        ("Name, Namespace, Kind, APIVersion", "'${trialSpec.Uid}'"),
    ),
    Case(
        "reference-to-no-label",
        swap(
            "trialParameters:",
            'trialParameters:\n      - {name: team, reference: "${trialSpec.Labels[team]}"}',
        ),
        f"{_TEMPLATE}.trialParameters[0].reference",
        ("must name one of the template's labels", "'team'"),
    ),
    Case(
        "trial-parameter-not-used",
        swap("--momentum=${trialParameters.momentum}", "--momentum=1"),
        f"{_TEMPLATE}.trialParameters[1].name",
        ("must be used in spec.trialTemplate.trialSpec", "${trialParameters.momentum}"),
    ),
    Case(
        "placeholder-for-nothing",
        swap("- train.py", "- ${trialParameters.size}"),
        f"{_POD}.containers[0].command[1]",
        ("must only use names of spec.trialTemplate.trialParameters", "${trialParameters.size}"),
    ),
    Case(
        "job-with-a-name",
        swap("kind: Job", "kind: Job\n      metadata: {name: mine}"),
        f"{_JOB}.metadata.name",
        ("must be left out", "'mine'"),
    ),
    Case(
        "job-with-a-namespace",
        swap("kind: Job", "kind: Job\n      metadata: {namespace: mine}"),
        f"{_JOB}.metadata.namespace",
        ("must be left out", "'mine'"),
    ),
    Case(
        "job-without-version",
        swap("apiVersion: batch/v1\n      ", ""),
        f"{_JOB}.apiVersion",
        ("must be set", "got nothing"),
    ),
    Case("job-without-kind", swap("kind: Job\n      ", ""), f"{_JOB}.kind", ("must be set", "got nothing")),
    Case(
        "job-with-unknown-field",
        swap("restartPolicy: Never", "restartPolicyy: Never"),
        f"{_POD}.restartPolicyy",
        ("is not a field of PodSpec", "did you mean `restartPolicy`"),
    ),
    Case(
        "job-with-number-for-text",
        swap("- train.py", "- 17"),
        f"{_POD}.containers[0].command[1]",
        ("must be a string", "17", "put it in quotes"),
    ),
    Case(
        "job-with-placeholder-for-number",
        swap(
            "kind: Job\n      spec:",
            "kind: Job\n      spec:\n        parallelism: ${trialParameters.momentum}",
        ),
        f"{_JOB}.spec.parallelism",
        ("must be an integer", "'${trialParameters.momentum}'"),
    ),
    Case(
        "job-that-always-restarts",
        swap("restartPolicy: Never", "restartPolicy: Always"),
        f"{_POD}.restartPolicy",
        ("Never, OnFailure", "'Always'"),
    ),
    Case(
        "job-without-containers",
        swap("containers:", "initContainers:"),
        f"{_POD}.containers",
        ("at least one container", "got nothing"),
    ),
    Case(
        "job-without-pod",
        usual("broken").split("      spec:\n        template:")[0] + "      spec: {}\n",
        _POD,
        ("must describe the pod", "got nothing"),
    ),
]
