"""What may change once an Experiment exists: its budget, and nothing else."""

from __future__ import annotations

from typing import Any

from katibpy.api.defaults import with_defaults
from katibpy.api.encode import to_dict
from katibpy.api.experiment import Experiment, ResumePolicy
from katibpy.api.paths import child_path
from katibpy.api.problems import Problems, shown
from katibpy.api.status_conditions import find_condition, has_condition
from katibpy.errors import FieldError

BUDGET_FIELDS = ("parallelTrialCount", "maxTrialCount", "maxFailedTrialCount")
"""Fields of `spec` that may change."""

MAX_TRIALS_REACHED = "ExperimentMaxTrialsReached"
"""Reason of a `Succeeded` condition after which an Experiment can go on with a larger `maxTrialCount`."""

_RESUMABLE = frozenset({ResumePolicy.LONG_RUNNING.value, ResumePolicy.FROM_VOLUME.value})
_MISSING = object()


def validate_update(old: Experiment, new: Experiment) -> tuple[FieldError, ...]:
    """Whether the spec of a stored Experiment may become another one.

    Both are compared with defaults filled in, so that an object stored before a default existed is equal
    to itself. What the new spec says on its own is `validate_experiment`'s business.

    Args:
        old: as stored, with its status.
        new: as handed in; its status does not count.
    """
    before, after = (to_dict(with_defaults(each).spec) for each in (old, new))
    if before == after:
        return ()
    problems = Problems()
    frozen_before, frozen_after = (
        {key: value for key, value in spec.items() if key not in BUDGET_FIELDS} for spec in (before, after)
    )
    _same(frozen_before, frozen_after, "spec", problems)
    _budget(old, new, problems)
    return tuple(problems.errors)


def _budget(old: Experiment, new: Experiment, problems: Problems) -> None:
    created, wanted = old.status.trials, new.spec.max_trial_count
    path = "spec.maxTrialCount"
    conditions = old.status.conditions
    if not (has_condition(conditions, "Succeeded") or has_condition(conditions, "Failed")):
        if wanted is not None and wanted < created and wanted != old.spec.max_trial_count:
            problems.add(
                path,
                f"must be at least the number of trials that exist (status.trials, {created}), got {wanted}",
            )
        return
    succeeded = find_condition(conditions, "Succeeded")
    policy = old.spec.resume_policy or ResumePolicy.NEVER.value
    if policy not in _RESUMABLE:
        problems.add(
            "spec.resumePolicy",
            f"must be LongRunning or FromVolume for an experiment to go on after its end, got {policy}; "
            "start over under another name",
        )
    elif succeeded is None or succeeded.status != "True" or succeeded.reason != MAX_TRIALS_REACHED:
        why = succeeded.reason if succeeded is not None and succeeded.status == "True" else "it failed"
        problems.add(
            "spec",
            f"must stay as it is unless the experiment ended because maxTrialCount was reached, got {why}; "
            "start over under another name",
        )
    elif wanted is not None and wanted <= created:
        problems.add(
            path,
            f"must be greater than the number of trials that exist (status.trials, {created}) for the "
            f"experiment to go on, got {wanted}",
        )


def _same(before: Any, after: Any, path: str, problems: Problems) -> None:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            where = child_path(path, str(key))
            _same(before.get(key, _MISSING), after.get(key, _MISSING), where, problems)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            _same(left, right, f"{path}[{index}]", problems)
    else:
        was, got = ("nothing" if each is _MISSING else shown(each) for each in (before, after))
        problems.add(
            path,
            f"must not change once the experiment exists (only {', '.join(BUDGET_FIELDS)} may), "
            f"was {was}, got {got}",
        )
