"""Experiments of every shape that users of Katib write, each as the text of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent, indent

JOB = """
trialTemplate:
  primaryContainerName: training
  trialParameters:
    - {name: learningRate, description: Step size, reference: lr}
    - {name: momentum, reference: momentum}
  trialSpec:
    apiVersion: batch/v1
    kind: Job
    spec:
      template:
        spec:
          containers:
            - name: training
              image: example.com/train:1
              command:
                - python
                - train.py
                - --lr=${trialParameters.learningRate}
                - --momentum=${trialParameters.momentum}
              resources: {limits: {memory: 1Gi, cpu: 0.5}}
          restartPolicy: Never
"""

PARAMETERS = """
parameters:
  - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}}
  - {name: momentum, parameterType: double, feasibleSpace: {min: 0.5, max: 0.9}}
"""

OBJECTIVE = """
objective:
  type: minimize
  goal: 0.001
  objectiveMetricName: loss
"""

COUNTS = """
parallelTrialCount: 3
maxTrialCount: 12
maxFailedTrialCount: 3
"""

NAS_TEMPLATE = """
trialTemplate:
  primaryContainerName: training
  trialParameters: [{entries}]
  trialSpec:
    apiVersion: batch/v1
    kind: Job
    spec:
      template:
        spec:
          containers:
            - {{name: training, image: example.com/nas:1, command: [python, run.py, {arguments}]}}
          restartPolicy: Never
"""

OPERATIONS = """
operations:
  - operationType: separable_convolution
    parameters:
      - {name: filter_size, parameterType: categorical, feasibleSpace: {list: ["3", "5"]}}
      - {name: stride, parameterType: int, feasibleSpace: {min: "1", max: "2", step: "1"}}
      - {name: rate, parameterType: double, feasibleSpace: {min: "0.1", max: "0.5", step: "0.1"}}
  - operationType: skip_connection
    parameters:
      - {name: filter_size, parameterType: categorical, feasibleSpace: {list: ["3"]}}
"""


def experiment(
    name: str, *parts: str, algorithm: str = "random", settings: Mapping[str, str] | None = None
) -> str:
    """The YAML of an Experiment with these parts in its spec."""
    listed = ", ".join(f"{{name: {key}, value: {value}}}" for key, value in (settings or {}).items())
    body = "\n".join(
        dedent(part).strip()
        for part in (f"algorithm: {{algorithmName: {algorithm}, algorithmSettings: [{listed}]}}", *parts)
    )
    head = "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\n"
    return f"{head}metadata: {{name: {name}, namespace: kubeflow}}\nspec:\n{indent(body, '  ')}\n"


def usual(
    name: str, *parts: str, algorithm: str = "random", settings: Mapping[str, str] | None = None
) -> str:
    """An Experiment with two doubles and a Job."""
    return experiment(
        name, OBJECTIVE, COUNTS, PARAMETERS, JOB, *parts, algorithm=algorithm, settings=settings
    )


def custom_kind(name: str, kind: str, pods: str, *parts: str) -> str:
    """An Experiment whose trials are training jobs of another kind with the given spec."""
    template = dedent("""
        trialTemplate:
          primaryContainerName: training
          trialParameters: [{name: learningRate, reference: lr}, {name: momentum, reference: momentum}]
          trialSpec:
        """) + indent(dedent(kind).strip() + "\n" + dedent(pods).strip(), "    ")
    return experiment(name, OBJECTIVE, COUNTS, PARAMETERS, template, *parts)


_ARGUMENTS = "['${trialParameters.learningRate}', '${trialParameters.momentum}']"
_POD = f"template: {{spec: {{containers: [{{name: training, image: x, args: {_ARGUMENTS}}}]}}}}"


def _replicas(kind: str, field: str, roles: tuple[str, ...]) -> tuple[str, str]:
    pods = "\n".join(f"    {role}: {{replicas: 1, {_POD}}}" for role in roles)
    return f"apiVersion: kubeflow.org/v1\nkind: {kind}", f"spec:\n  {field}:\n{pods}"


VALID: dict[str, str] = {
    "random": usual("random"),
    "grid": experiment(
        "grid",
        OBJECTIVE,
        COUNTS,
        """
        parameters:
          - {name: lr, parameterType: double, feasibleSpace: {min: "0.001", max: "0.01", step: "0.001"}}
          - {name: momentum, parameterType: double, feasibleSpace: {min: "0.5", max: "0.9", step: "0.1"}}
        """,
        JOB,
        algorithm="grid",
    ),
    "bayesian": usual("bayesian", algorithm="bayesianoptimization", settings={"random_state": '"10"'}),
    "tpe": usual("tpe", algorithm="tpe", settings={"gamma": "0.25", "n_EI_candidates": "24"}),
    "multivariate-tpe": usual("multivariate-tpe", algorithm="multivariate-tpe"),
    "cmaes": usual("cmaes", algorithm="cmaes", settings={"restart_strategy": "ipop"}),
    "sobol": usual("sobol", algorithm="sobol"),
    "hyperband": experiment(
        "hyperband",
        OBJECTIVE,
        "parallelTrialCount: 9\nmaxTrialCount: 9",
        """
        parameters:
          - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}}
          - {name: momentum, parameterType: int, feasibleSpace: {min: "1", max: "9"}}
        """,
        JOB,
        algorithm="hyperband",
        settings={"resource_name": "momentum", "eta": "3", "r_l": "9"},
    ),
    "pbt": usual(
        "pbt",
        "resumePolicy: FromVolume",
        algorithm="pbt",
        settings={
            "suggestion_trial_dir": "/opt/katib/data",
            "n_population": "40",
            "truncation_threshold": "0.4",
        },
    ),
    "distributions": experiment(
        "distributions",
        OBJECTIVE,
        COUNTS,
        """
        parameters:
          - {name: lr, parameterType: double, feasibleSpace: {min: 1e-5, max: 1e-1, distribution: logUniform}}
          - {name: momentum, parameterType: double, feasibleSpace: {min: .5, max: .9, distribution: normal}}
        """,
        JOB,
    ),
    "median-stop": usual(
        "median-stop",
        "earlyStopping: {algorithmName: medianstop, algorithmSettings: [{name: start_step, value: 2}]}",
    ),
    "file-json": usual(
        "file-json",
        """
        metricsCollectorSpec:
          source: {fileSystemPath: {path: /katib/metrics.json, kind: File, format: JSON}}
          collector: {kind: File}
        """,
    ),
    "file-filter": usual(
        "file-filter",
        r"""
        metricsCollectorSpec:
          source:
            filter: {metricsFormat: ["{metricName: ([\\w|-]+), metricValue: ((-?\\d+)(\\.\\d+)?)}"]}
            fileSystemPath: {path: /katib/mnist.log, kind: File}
          collector: {kind: File}
        """,
    ),
    "strategies": experiment(
        "strategies",
        """
        objective:
          type: maximize
          goal: 0.99
          objectiveMetricName: accuracy
          metricStrategies: [{name: accuracy, value: latest}, {name: loss, value: min}]
          additionalMetricNames: [loss, valid_1 auc]
        """,
        COUNTS,
        PARAMETERS,
        JOB,
    ),
    "custom-collector": usual(
        "custom-collector",
        """
        metricsCollectorSpec:
          source: {fileSystemPath: {path: /metrics.log, kind: File}}
          collector: {kind: Custom, customCollector: {name: collect, image: example.com/collect, args: [-v]}}
        """,
    ),
    "prometheus": usual(
        "prometheus",
        """
        metricsCollectorSpec:
          source: {httpGet: {path: /stats, port: 9090, httpHeaders: [{name: X-Token, value: 7}]}}
          collector: {kind: PrometheusMetric}
        """,
    ),
    "push": usual("push", "metricsCollectorSpec: {collector: {kind: Push}}"),
    "stdout-filter": usual(
        "stdout-filter",
        r"""metricsCollectorSpec: {source: {filter: {metricsFormat: ['([\w-]+)=(Genotype.*)']}}}""",
    ),
    "enas": experiment(
        "enas",
        OBJECTIVE,
        COUNTS,
        "nasConfig:\n  graphConfig: {numLayers: 8, inputSizes: [32, 32, 3], outputSizes: [10]}\n"
        + indent(dedent(OPERATIONS), "  "),
        NAS_TEMPLATE.format(
            entries="{name: a, reference: architecture}, {name: n, reference: nn_config}",
            arguments='"--architecture=${trialParameters.a}", "--nn_config=${trialParameters.n}"',
        ),
        algorithm="enas",
        settings={"controller_hidden_size": '"64"'},
    ),
    "darts": experiment(
        "darts",
        OBJECTIVE,
        "parallelTrialCount: 1\nmaxTrialCount: 1\nmaxFailedTrialCount: 1",
        "nasConfig:\n  graphConfig: {numLayers: 8}\n" + indent(dedent(OPERATIONS), "  "),
        NAS_TEMPLATE.format(
            entries="{name: s, reference: algorithm-settings}, {name: p, reference: search-space}, "
            "{name: l, reference: num-layers}",
            arguments='"${trialParameters.s}", "${trialParameters.p}", "${trialParameters.l}"',
        ),
        algorithm="darts",
    ),
    "from-volume": usual("from-volume", "resumePolicy: FromVolume"),
    "long-running": usual("long-running", "resumePolicy: LongRunning"),
    "metadata-substitution": experiment(
        "metadata-substitution",
        OBJECTIVE,
        COUNTS,
        "parameters: [{name: lr, parameterType: double, feasibleSpace: {min: '0.01', max: '0.05'}}]",
        """
        trialTemplate:
          retain: true
          primaryContainerName: training
          trialParameters:
            - {name: learningRate, reference: lr}
            - {name: trialName, reference: "${trialSpec.Name}"}
            - {name: trialNamespace, reference: "${trialSpec.Namespace}"}
            - {name: jobKind, reference: "${trialSpec.Kind}"}
            - {name: jobVersion, reference: "${trialSpec.APIVersion}"}
            - {name: note, reference: "${trialSpec.Annotations[example.com/note]}"}
            - {name: team, reference: "${trialSpec.Labels[team]}"}
          trialSpec:
            apiVersion: batch/v1
            kind: Job
            metadata: {annotations: {example.com/note: hello}, labels: {team: vision}}
            spec:
              template:
                spec:
                  containers:
                    - name: training
                      image: x
                      command: [sh, -c, "echo ${trialParameters.learningRate}"]
                      env:
                        - {name: NAME, value: "${trialParameters.trialName}"}
                        - {name: NAMESPACE, value: "${trialParameters.trialNamespace}"}
                        - {name: KIND, value: "${trialParameters.jobKind} ${trialParameters.jobVersion}"}
                        - {name: NOTE, value: "${trialParameters.note} ${trialParameters.team}"}
        """,
    ),
    "configmap": experiment(
        "configmap",
        OBJECTIVE,
        COUNTS,
        "parameters: [{name: lr, parameterType: double, feasibleSpace: {min: '0.01', max: '0.05'}}]",
        """
        trialTemplate:
          primaryContainerName: training
          successCondition: status.conditions.#(type=="Complete")#|#(status=="True")#
          failureCondition: status.conditions.#(type=="Failed")#|#(status=="True")#
          configMap: {configMapName: templates, configMapNamespace: kubeflow, templatePath: default.yaml}
          trialParameters: [{name: learningRate, reference: lr}]
        """,
    ),
    "tfjob": custom_kind(
        "tfjob",
        *_replicas("TFJob", "tfReplicaSpecs", ("Worker",)),
        "metricsCollectorSpec: {source: {fileSystemPath: {path: /run}}, collector: {kind: TensorFlowEvent}}",
    ),
    "pytorchjob": custom_kind(
        "pytorchjob", *_replicas("PyTorchJob", "pytorchReplicaSpecs", ("Master", "Worker"))
    ),
    "mpijob": custom_kind("mpijob", *_replicas("MPIJob", "mpiReplicaSpecs", ("Launcher", "Worker"))),
    "xgboostjob": custom_kind(
        "xgboostjob", *_replicas("XGBoostJob", "xgbReplicaSpecs", ("Master", "Worker"))
    ),
    "trainjob": custom_kind(
        "trainjob",
        "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob",
        """
        spec:
          runtimeRef: {name: torch-distributed}
          trainer: {numNodes: 2, args: ['${trialParameters.learningRate}', '${trialParameters.momentum}']}
        """,
    ),
    "argo": experiment(
        "argo",
        OBJECTIVE,
        COUNTS,
        PARAMETERS,
        """
        trialTemplate:
          retain: true
          primaryPodLabels: {katib.kubeflow.org/model-training: true}
          primaryContainerName: main
          successCondition: status.[@this].#(phase=="Succeeded")#
          failureCondition: status.[@this].#(phase=="Failed")#
          trialParameters: [{name: learningRate, reference: lr}, {name: momentum, reference: momentum}]
          trialSpec:
            apiVersion: argoproj.io/v1alpha1
            kind: Workflow
            spec:
              entrypoint: hpo
              templates:
                - name: hpo
                  container: {args: ["${trialParameters.learningRate}", "${trialParameters.momentum}"]}
        """,
    ),
    "tekton": experiment(
        "tekton",
        OBJECTIVE,
        COUNTS,
        PARAMETERS,
        """
        trialTemplate:
          retain: true
          primaryPodLabels: {tekton.dev/pipelineTask: model-training}
          primaryContainerName: step-model-training
          successCondition: status.conditions.#(type=="Succeeded")#|#(status=="True")#
          failureCondition: status.conditions.#(type=="Succeeded")#|#(status=="False")#
          trialParameters: [{name: learningRate, reference: lr}, {name: momentum, reference: momentum}]
          trialSpec:
            apiVersion: tekton.dev/v1beta1
            kind: PipelineRun
            spec:
              params:
                - {name: lr, value: "${trialParameters.learningRate}"}
                - {name: momentum, value: "${trialParameters.momentum}"}
        """,
    ),
    "every-parameter-type": experiment(
        "every-parameter-type",
        OBJECTIVE,
        COUNTS,
        """
        seed: 42
        parameters:
          - {name: lr, parameterType: discrete, feasibleSpace: {list: [1e-3, 0.10, 010]}}
          - {name: momentum, parameterType: categorical, feasibleSpace: {list: [yes, no, "", 1e-5]}}
          - {name: layers, parameterType: int, feasibleSpace: {min: -2, max: 6, step: 2}}
        """,
        JOB.replace(
            "    - {name: momentum, reference: momentum}",
            "    - {name: momentum, reference: momentum}\n    - {name: layers, reference: layers}",
        ).replace("- train.py", "- train.py\n                - ${trialParameters.layers}"),
    ),
    "only-max-trial-count": experiment(
        "only-max-trial-count", OBJECTIVE, "maxTrialCount: 2", PARAMETERS, JOB
    ),
    "unbounded": experiment(
        "unbounded", "objective: {type: maximize, objectiveMetricName: acc}", PARAMETERS, JOB
    ),
}
"""Name and text of each Experiment."""
