"""Hands Experiments in, edits and deletes them, and keeps the objectives that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from katibpy.api.codec import Document, load_object
from katibpy.api.experiment import Experiment
from katibpy.client.plain import documents_of
from katibpy.client.session import Session, say
from katibpy.client.shipping import (
    SUFFIX,
    pack,
    payload_path,
    read_choices,
    remove_payloads,
    write_payload,
)
from katibpy.client.tuning import Tuning
from katibpy.client.waiting import display_for
from katibpy.display.displays import QuietDisplay
from katibpy.display.values import counted
from katibpy.errors import AlreadyExists, FieldError, InputError, InvalidResource, Unsupported

if TYPE_CHECKING:
    from katibpy.app.admission import Admitted
    from katibpy.app.local import Submission

_FOLDER = "objectives"
_BUDGET_PATHS = frozenset(
    {"spec", "spec.maxTrialCount", "spec.parallelTrialCount", "spec.maxFailedTrialCount", "spec.resumePolicy"}
)
"""Fields that a problem with an edit of the budget may be told of."""


def create(
    session: Session,
    source: object,
    namespace: str | None,
    *,
    default: str,
    replace: bool,
    progress: bool | None,
) -> None:
    """Hands in all Experiments of a source; see `KatibClient.create_experiment`."""
    documents = [_placed(document, namespace, default) for document in documents_of(source)]
    admitted = _admit(session, documents)
    if not admitted:
        raise InputError("there must be at least one Experiment to create, got none")
    for each in admitted:
        _submit(session, each, replace=replace, progress=progress)


def tune(session: Session, tuning: Tuning, *, replace: bool, progress: bool | None) -> None:
    """Hands in the Experiment that tunes a function; see `KatibClient.tune`."""
    _check_processes(session)
    call = tuning.call()
    content = pack(call)
    folder = _folder(session, tuning.namespace)
    path = payload_path(folder, tuning.name, call.fingerprint)
    [admitted] = _admit(session, [load_object(tuning.experiment(call, path))])
    session.open()
    stored = session.resources.find(Experiment, tuning.namespace, tuning.name)
    if stored is not None and not replace and _payload_of(stored) not in (None, path):
        raise AlreadyExists(
            f"experiment {tuning.name!r} exists and calls another objective, or this with other constants "
            f"or variables: {_ways_out(tuning.name)}"
        )
    write_payload(path, content)
    try:
        _submit(session, admitted, replace=replace, progress=progress)
    except AlreadyExists:
        if stored is not None and _payload_of(stored) != path:
            remove_payloads(folder, tuning.name, but=_payload_of(stored))
        raise
    remove_payloads(folder, tuning.name, but=path)


def edit(
    session: Session, namespace: str, name: str, counts: tuple[int | None, int | None, int | None]
) -> None:
    """Changes the budget and goes on with the Experiment, unless another program does."""
    from katibpy.app.budget import edit_budget

    total, parallel, failed = counts
    edit_budget(
        session.resources,
        namespace,
        name,
        max_trial_count=total,
        parallel_trial_count=parallel,
        max_failed_trial_count=failed,
    )
    session.take_up(namespace, name)


def delete(session: Session, namespace: str, name: str, *, timeout_seconds: float) -> bool:
    """Removes an Experiment and its objective; False when it was not gone in time."""
    is_gone = session.delete(Experiment, namespace, name, timeout_seconds=timeout_seconds)
    if is_gone:
        remove_payloads(_folder(session, namespace), name)
    return is_gone


def choices_of(session: Session, experiment: Experiment) -> Mapping[str, Mapping[str, Any]]:
    """The objects that the texts of listed parameters stand for; {} when they are texts.

    Only what this state directory keeps is read: the Experiment may have been written by anybody.
    """
    path = _payload_of(experiment)
    if path is None or path.parent != _folder(session, experiment.metadata.namespace):
        return {}
    return read_choices(path)


def _folder(session: Session, namespace: str) -> Path:
    return session.state_dir / _FOLDER / namespace


def _payload_of(experiment: Experiment) -> Path | None:
    """The payload that the trials of an Experiment are called with; None when there is none."""
    template = experiment.spec.trial_template
    node: Any = template.trial_spec if template is not None else None
    for step in ("spec", "template", "spec", "containers", 0, "command"):
        is_there = isinstance(node, Sequence if step == 0 else Mapping) and node
        node = node[step] if is_there and (step == 0 or step in node) else None
    words = node if isinstance(node, list) else []
    return next((Path(word) for word in words if isinstance(word, str) and word.endswith(SUFFIX)), None)


def _admit(session: Session, documents: Sequence[Document]) -> tuple[Admitted, ...]:
    from katibpy.app.admission import admit
    from katibpy.app.configuration import read_configuration
    from katibpy.app.execution import local_execution
    from katibpy.app.local import local_checks

    configuration = read_configuration(session.state_dir)
    checks = local_checks(execution=local_execution(configuration))
    return admit(documents, checks=checks, algorithms=configuration.algorithms)


def _check_processes(session: Session) -> None:
    """Refuses a state directory whose trials run in containers, where this Python and its modules are not."""
    from katibpy.app.configuration import CONTAINER, FILE_NAME, read_configuration

    if read_configuration(session.state_dir).runner == CONTAINER:
        raise Unsupported(
            f"tune runs trials as processes of this Python, and {session.state_dir / FILE_NAME} says runner: "
            f"{CONTAINER}: give the client another state_dir"
        )


def _submit(session: Session, admitted: Admitted, *, replace: bool, progress: bool | None) -> None:
    name = admitted.experiment.metadata.name
    session.refuse(admitted, replace=replace)
    try:
        submission = session.submit(admitted, replace=replace)
    except InvalidResource as err:
        if all(error.path in _BUDGET_PATHS for error in err.errors):
            raise
        raise AlreadyExists(f"experiment {name!r} exists and is another: {err}; {_ways_out(name)}") from err
    if type(display_for(progress)) is not QuietDisplay:
        say(_opening(submission))


def _ways_out(name: str) -> str:
    return (
        f"choose another name, delete it with delete_experiment({name!r}), or start over with replace=True, "
        "which deletes it"
    )


def _opening(submission: Submission) -> str:
    """What handing an Experiment in came to, in a line."""
    experiment = submission.experiment
    spec, status = experiment.spec, experiment.status
    limit = "trials" if spec.max_trial_count is None else f"up to {counted(spec.max_trial_count, 'trial')}"
    algorithm = spec.algorithm.algorithm_name if spec.algorithm else ""
    done = status.trials - status.trials_running - status.trials_pending
    how = {
        "finished": " ended before",
        "resumed": f" goes on after {counted(done, 'trial')}",
        "edited": f" goes on after {counted(done, 'trial')}, edited",
        "replaced": " starts over",
    }.get(submission.outcome.value, "")
    plan = f"{algorithm}, {limit}, {spec.parallel_trial_count} at a time"
    return f"experiment {experiment.metadata.name}{how}: {plan}"


def _placed(document: Document, namespace: str | None, default: str) -> Document:
    """The document in the namespace it is meant for.

    Raises:
        InvalidResource: it names another one.
    """
    resource = document.resource
    meta = resource.metadata
    if "namespace" in meta.model_fields_set:
        if namespace is None or meta.namespace == namespace:
            return document
        message = f"must be {namespace!r}, as the argument namespace says, got {meta.namespace!r}"
        raise InvalidResource(
            [FieldError("metadata.namespace", message, document.line_of("metadata.namespace"))]
        )
    wanted = namespace or default
    return changed(document, resource=resource.but(metadata=meta.but(namespace=wanted)))
