"""Whether an Experiment can run: every rule, every broken one at once, each with its path.

Call it on an Experiment with defaults filled in. What only an algorithm can judge, its settings above all,
the algorithm judges later.
"""

from __future__ import annotations

from collections.abc import Collection

from katibpy.api.experiment import Algorithm, Experiment, ExperimentSpec, ResumePolicy
from katibpy.api.lineage import check_checkpoint_path
from katibpy.api.paths import did_you_mean
from katibpy.api.problems import Problems, shown
from katibpy.api.validate_collector import check_collector
from katibpy.api.validate_metadata import check_metadata
from katibpy.api.validate_nas import check_nas
from katibpy.api.validate_objective import check_objective
from katibpy.api.validate_parameters import check_parameters
from katibpy.api.validate_template import check_template
from katibpy.api.validate_update import validate_update
from katibpy.errors import FieldError

__all__ = ["validate_experiment", "validate_update"]

MAX_COUNT = 2**31 - 1
"""Counts are 32-bit integers on the wire."""
_RESOURCE_SETTING = "resource_name"
"""Algorithm setting that names the parameter by which trials get more or less to spend."""


def validate_experiment(
    experiment: Experiment,
    *,
    known_algorithms: Collection[str] | None,
    known_stopping: Collection[str] | None,
) -> tuple[FieldError, ...]:
    """Every broken rule of an Experiment; empty when it can be accepted.

    Args:
        experiment: with defaults filled in.
        known_algorithms: names of search algorithms; `None` leaves the name to whoever resolves it.
        known_stopping: names of early stopping algorithms; `None` likewise.
    """
    problems = Problems()
    spec = experiment.spec
    check_metadata(experiment.metadata, problems)
    _search_space(spec, problems)
    check_objective(spec.objective, problems)
    _algorithm(spec.algorithm, "spec.algorithm", "algorithm", known_algorithms, problems)
    if spec.early_stopping is not None:
        kind = "early stopping algorithm"
        _algorithm(spec.early_stopping, "spec.earlyStopping", kind, known_stopping, problems)
    names = () if spec.nas_config is not None else tuple(each.name for each in spec.parameters)
    check_template(spec.trial_template, names, problems)
    _counts(spec, problems)
    check_collector(spec.metrics_collector_spec, problems)
    check_checkpoint_path(experiment, problems)
    if spec.resume_policy:
        policies = tuple(policy.value for policy in ResumePolicy)
        problems.one_of("spec.resumePolicy", spec.resume_policy, policies)
    if spec.seed is not None and spec.seed < 0:
        problems.add("spec.seed", f"must be at least 0, got {spec.seed}")
    return tuple(problems.errors)


def _search_space(spec: ExperimentSpec, problems: Problems) -> None:
    if spec.parameters and spec.nas_config is not None:
        problems.add("spec", "must have either parameters or nasConfig, got both; remove one")
    elif not spec.parameters and spec.nas_config is None:
        problems.add("spec.parameters", "must be set unless there is a nasConfig, got neither")
    settings = spec.algorithm.algorithm_settings if spec.algorithm is not None else ()
    resource = next((each.value for each in settings if each.name == _RESOURCE_SETTING), "")
    check_parameters(spec.parameters, "spec.parameters", problems, resource=resource)
    if spec.nas_config is not None:
        check_nas(spec.nas_config, problems)


def _algorithm(
    algorithm: Algorithm | None, path: str, kind: str, known: Collection[str] | None, problems: Problems
) -> None:
    if algorithm is None:
        problems.add(path, "must be set, got nothing; only a search over parameters has a default")
        return
    name = algorithm.algorithm_name
    if problems.require(f"{path}.algorithmName", name) and known is not None and name not in known:
        listed = ", ".join(sorted(known)) or "none"
        problems.add(
            f"{path}.algorithmName",
            f"must be a known {kind} ({listed}), got {shown(name)}{did_you_mean(name, known)}",
        )
    settings = algorithm.algorithm_settings
    problems.distinct(f"{path}.algorithmSettings", (each.name for each in settings), "name", ".name")
    for index, setting in enumerate(settings):
        problems.require(f"{path}.algorithmSettings[{index}].name", setting.name)


def _counts(spec: ExperimentSpec, problems: Problems) -> None:
    parallel, most, failed = spec.parallel_trial_count, spec.max_trial_count, spec.max_failed_trial_count
    for field, count, least in (
        ("parallelTrialCount", parallel, 1),
        ("maxTrialCount", most, 1),
        ("maxFailedTrialCount", failed, 0),
    ):
        if count is not None and not least <= count <= MAX_COUNT:
            problems.add(f"spec.{field}", f"must be from {least} to {MAX_COUNT}, got {count}")
    if most is None or most < 1:
        return
    if parallel is not None and parallel > most:
        problems.add(
            "spec.parallelTrialCount", f"must be at most spec.maxTrialCount ({most}), got {parallel}"
        )
    if failed is not None and failed > most:
        problems.add("spec.maxFailedTrialCount", f"must be at most spec.maxTrialCount ({most}), got {failed}")
