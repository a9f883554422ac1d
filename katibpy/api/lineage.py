"""How a Trial goes on from where another one ended: the label that names it, the setting that asks for it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from katibpy.api.experiment import Experiment
from katibpy.api.problems import Problems, shown

CHECKPOINT_FROM_LABEL = "katib.kubeflow.org/checkpoint-from"
"""Label of a Trial that is to begin with a copy of another's checkpoint directory.

Its value is the name of that Trial, which has ended and belongs to the same Experiment. Algorithms put it
among `Proposal.labels`; runners make the copy before the Trial's first process starts. A Trial without it, or
whose parent left nothing, begins with an empty directory.
"""

CHECKPOINT_PATH_SETTING = "suggestion_trial_dir"
"""Algorithm setting with the absolute path at which each Trial sees its own checkpoint directory.

Trials have such a directory when the setting is given and not empty, whichever algorithm it belongs to.
"""

CHECKPOINT_VARIABLE = "KATIB_CHECKPOINT_DIR"
"""Environment variable with the path at which the Trial really has its checkpoint directory."""


def checkpoint_path_of(experiment: Experiment) -> str:
    """Where Trials of the Experiment see their checkpoint directories; "" when they have none."""
    algorithm = experiment.spec.algorithm
    if algorithm is None:
        return ""
    texts = (each.value for each in algorithm.algorithm_settings if each.name == CHECKPOINT_PATH_SETTING)
    text = next(texts, "").strip()
    return posixpath.normpath(text) if text else ""


def parent_of(labels: Mapping[str, str]) -> str:
    """Name of the Trial whose checkpoints a Trial with these labels begins with; "" for none."""
    return labels.get(CHECKPOINT_FROM_LABEL, "")


def check_checkpoint_path(experiment: Experiment, problems: Problems) -> None:
    """Check the setting that says where Trials see their checkpoint directories."""
    path = checkpoint_path_of(experiment)
    algorithm = experiment.spec.algorithm
    if not path or algorithm is None:
        return
    settings = algorithm.algorithm_settings
    place = next(n for n, each in enumerate(settings) if each.name == CHECKPOINT_PATH_SETTING)
    where, text = f"spec.algorithm.algorithmSettings[{place}].value", settings[place].value
    if not path.startswith("/") or path.strip("/") == "" or ".." in text.split("/"):
        problems.add(
            where,
            "must be the absolute path of a directory of its own, such as /opt/katib/data, "
            f"got {shown(text)}",
        )
        return
    spec = experiment.spec.metrics_collector_spec
    source = spec.source if spec is not None else None
    file = source.file_system_path if source is not None else None
    if file is not None and f"{posixpath.normpath(file.path)}/".startswith(f"{path}/"):
        problems.add(
            "spec.metricsCollectorSpec.source.fileSystemPath.path",
            f"must not lie in the checkpoint directory {path}, got {shown(file.path)}: a trial that begins "
            "with another's checkpoints would have its metrics too; write them elsewhere",
        )
