"""What happens to an Experiment before it is stored: defaults, validation, and what can be honoured here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from katibpy import catalog
from katibpy.api.codec import Document
from katibpy.api.config_map import ConfigMap, with_template
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.validation import validate_experiment
from katibpy.errors import FieldError, InvalidResource, KatibError

Check = Callable[[Experiment], tuple[FieldError, ...]]
"""Says what of an Experiment some part of the system cannot honour."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An Experiment ready to be stored, and the document it came from."""

    experiment: Experiment
    document: Document


def admit(
    documents: Sequence[Document], *, checks: Sequence[Check] = (), algorithms: Collection[str] = ()
) -> tuple[Admitted, ...]:
    """Defaults and validates all Experiments of a file.

    Args:
        documents: what the file holds; its ConfigMaps serve as sources of trial templates.
        checks: further refusals, by the parts that will have to honour the Experiment.
        algorithms: names of search algorithms that a configuration adds.

    Raises:
        InvalidResource: every problem of every document at once.
    """
    config_maps = {
        (each.resource.metadata.namespace, each.resource.metadata.name): each.resource
        for each in documents
        if isinstance(each.resource, ConfigMap)
    }
    admitted: list[Admitted] = []
    errors: list[FieldError] = []
    for document in documents:
        resource = document.resource
        if isinstance(resource, ConfigMap):
            continue
        if not isinstance(resource, Experiment):
            errors.extend(document.located([_only_experiments(resource.kind)]))
            continue
        try:
            experiment = with_defaults(with_template(resource, config_maps))
        except InvalidResource as err:
            errors.extend(document.located(err.errors))
            continue
        found = problems(experiment, checks=checks, algorithms=algorithms)
        errors.extend(document.located(found))
        admitted.append(Admitted(experiment, document))
    if errors:
        raise InvalidResource(errors)
    return tuple(admitted)


def problems(
    experiment: Experiment, *, checks: Sequence[Check] = (), algorithms: Collection[str] = ()
) -> tuple[FieldError, ...]:
    """Everything that keeps a defaulted Experiment from being stored; () when all is well."""
    found = validate_experiment(
        experiment,
        known_algorithms={*_names(catalog.ALGORITHMS), *algorithms},
        known_stopping=_names(catalog.STOPPING),
    )
    if found:
        return found
    refused = [*_plug_ins(experiment, algorithms)]
    refused += [error for check in checks for error in check(experiment)]
    return tuple(refused)


def _names(kind: catalog.Kind) -> Collection[str]:
    return {*catalog.names(kind), *kind.planned}


def _plug_ins(experiment: Experiment, added: Collection[str]) -> tuple[FieldError, ...]:
    """Algorithms that are known but not in this version, unless a configuration adds them."""
    spec = experiment.spec
    wanted = (
        ("spec.algorithm.algorithmName", catalog.ALGORITHMS, spec.algorithm),
        ("spec.earlyStopping.algorithmName", catalog.STOPPING, spec.early_stopping),
    )
    found: list[FieldError] = []
    for path, kind, algorithm in wanted:
        if algorithm is None or (kind is catalog.ALGORITHMS and algorithm.algorithm_name in added):
            continue
        try:
            catalog.find(kind, algorithm.algorithm_name)
        except KatibError as err:
            found.append(FieldError(path, f"cannot be honoured: {err}"))
    return tuple(found)


def _only_experiments(kind: str) -> FieldError:
    return FieldError("kind", f"must be Experiment to be submitted, got {kind}: katibpy makes {kind}s itself")
