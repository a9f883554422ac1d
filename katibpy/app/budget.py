"""Edits the budget of a stored Experiment, beside whoever runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from katibpy.api.experiment import Experiment
from katibpy.api.validate_update import validate_update
from katibpy.app.admission import problems
from katibpy.errors import Conflict, InvalidResource, NotFound
from katibpy.ports import ResourceStore

_ATTEMPTS = 100


def edit_budget(
    resources: ResourceStore,
    namespace: str,
    name: str,
    *,
    max_trial_count: int | None = None,
    parallel_trial_count: int | None = None,
    max_failed_trial_count: int | None = None,
) -> Experiment:
    """Changes the counts that are given; whoever runs the Experiment takes note of it.

    Returns:
        The Experiment as it is stored now.

    Raises:
        NotFound: there is none.
        InvalidResource: the counts contradict each other, or what has been run already.
    """
    counts = {
        "max_trial_count": max_trial_count,
        "parallel_trial_count": parallel_trial_count,
        "max_failed_trial_count": max_failed_trial_count,
    }
    changes = {field: count for field, count in counts.items() if count is not None}
    for _ in range(_ATTEMPTS):
        # Its status is written all the time while it runs.
        with contextlib.suppress(Conflict):
            return _edit(resources, namespace, name, changes)
    return _edit(resources, namespace, name, changes)


def _edit(resources: ResourceStore, namespace: str, name: str, changes: Mapping[str, int]) -> Experiment:
    stored = resources.find(Experiment, namespace, name)
    if stored is None:
        raise NotFound(f"there is no experiment {name!r} in namespace {namespace!r}")
    wanted = stored.but(spec=stored.spec.but(**changes))
    errors = problems(wanted, algorithms=_known(stored)) or validate_update(stored, wanted)
    if errors:
        raise InvalidResource(errors)
    return resources.replace_spec(wanted)


def _known(stored: Experiment) -> tuple[str, ...]:
    # It was admitted with the algorithms of a configuration, which need not be at hand any more.
    algorithm = stored.spec.algorithm
    return () if algorithm is None else (algorithm.algorithm_name,)
