"""What every resource store does alike, whatever it keeps resources in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast
from uuid import uuid4

from katibpy.api.experiment import Experiment
from katibpy.api.model import Model, Resource
from katibpy.api.suggestion import Suggestion, TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.phases import experiment_phase, trial_phase
from katibpy.errors import AlreadyExists, ChangesGone, Conflict, InputError, StoreError

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"

CHANGES_KEPT = 10_000
"""How many entries of the change log a store keeps at least, unless it is told otherwise."""

NewUid: TypeAlias = Callable[[], str]

R = TypeVar("R", bound=Resource)


def random_uid() -> str:
    """A uid as Kubernetes gives them."""
    return str(uuid4())


@cache
def kind_name(kind: type[Resource]) -> str:
    """`Trial` for the class Trial."""
    return str(kind.model_fields["kind"].default)


def spec_of(resource: Resource) -> Model:
    """The spec, whatever the kind."""
    return cast("Model", cast("Any", resource).spec)


def status_of(resource: Resource) -> Model:
    """The status, whatever the kind."""
    return cast("Model", cast("Any", resource).status)


def owner_uid_of(resource: Resource) -> str | None:
    """Uid of the object that the resource is deleted with: its controller, else its first owner."""
    owners = resource.metadata.owner_references
    if not owners:
        return None
    return next((owner.uid for owner in owners if owner.controller), owners[0].uid)


def owner_uid_required(resource: Resource) -> str:
    """Uid of the Experiment that a Suggestion or Trial belongs to.

    Raises:
        StoreError: it has no owner.
    """
    owner_uid = owner_uid_of(resource)
    if owner_uid is None:
        raise StoreError(
            f"{told(resource)} must have an owner reference to its Experiment, got none: "
            "proposals and Trials are kept by the Experiment's uid"
        )
    return owner_uid


def phase_of(resource: Resource) -> str:
    """The phase that `list` filters by; empty for a Suggestion, which has none."""
    if isinstance(resource, Trial):
        return trial_phase(resource.status.conditions).value
    if isinstance(resource, Experiment):
        return experiment_phase(resource.status.conditions).value
    return ""


def told(resource: Resource) -> str:
    """The resource as a message names it."""
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"


def born(resource: R, *, uid: str, version: int, created: datetime) -> R:
    """The resource as it is first stored."""
    metadata = resource.metadata.but(
        uid=uid,
        resource_version=str(version),
        generation=1,
        creation_timestamp=created,
        deletion_timestamp=None,
    )
    return resource.but(metadata=metadata)


def require_creatable(resource: Resource) -> None:
    """Refuses what `create` is not for.

    Raises:
        StoreError: the resource is a Trial or has no name.
    """
    if isinstance(resource, Trial):
        raise StoreError(f"{told(resource)} must be stored by create_trial, got create")
    if not resource.metadata.name:
        raise StoreError(f"{resource.kind}.metadata.name must be set before it is stored, got none")


def already_exists(existing: Resource) -> AlreadyExists:
    """The error for a name that is taken."""
    if existing.metadata.deletion_timestamp is not None:
        return AlreadyExists(f"{told(existing)} exists and is being deleted: wait until it is gone")
    return AlreadyExists(f"{told(existing)} exists (uid {existing.metadata.uid})")


def foreign_trial(existing: Trial) -> AlreadyExists:
    """The error for a Trial name that another Experiment uses."""
    return AlreadyExists(f"{told(existing)} belongs to another owner (uid {owner_uid_of(existing)})")


def taken_name(name: str) -> AlreadyExists:
    """The error for a proposal whose name is used in its Experiment."""
    return AlreadyExists(f"a proposal must have a name of its own in its Experiment, got {name!r} again")


def require_version(given: Resource, stored_version: str | None) -> None:
    """Refuses a stale write.

    Raises:
        Conflict: the stored version is another one, None meaning that the object is gone.
    """
    version = given.metadata.resource_version
    if version == stored_version and version is not None:
        return
    if stored_version is None:
        raise Conflict(f"{told(given)} was removed since it was read: read it again")
    raise Conflict(
        f"{told(given)} must carry the stored resourceVersion {stored_version}, got {version}: read it again"
    )


def require_numbers(suggestion: Suggestion, proposals: tuple[TrialAssignment, ...]) -> int:
    """The number of the first proposal of a reply.

    Raises:
        StoreError: the Suggestion's count does not include the proposals.
        AlreadyExists: two proposals of the reply share a name.
    """
    first = suggestion.status.suggestion_count - len(proposals)
    if first < 0:
        raise StoreError(
            f"{told(suggestion)} status.suggestionCount must count the {len(proposals)} new proposals too, "
            f"got {suggestion.status.suggestion_count}"
        )
    seen: set[str] = set()
    for proposal in proposals:
        if proposal.name in seen:
            raise taken_name(proposal.name)
        seen.add(proposal.name)
    return first


def page_start(after: str | None) -> int:
    """What a page token stands for: the creation version of the last object of the page before.

    Raises:
        InputError: it is not a token that `list` gave.
    """
    if after is None:
        return 0
    if not after.isdecimal():
        raise InputError(f"a page token must be one that a list returned, got {after!r}")
    return int(after)


def require_changes(since: int, *, dropped: int, newest: int) -> None:
    """Refuses to resume a watch where entries are missing.

    Args:
        since: the version after which changes are asked for.
        dropped: the newest version whose entry is no longer kept.
        newest: the store's version.

    Raises:
        ChangesGone: entries were dropped, or the version is not of this store.
    """
    if since < dropped:
        raise ChangesGone(
            f"changes after version {since} are no longer kept (oldest kept: {dropped + 1}): list again"
        )
    if since > newest:
        raise ChangesGone(f"version {since} is ahead of this store ({newest}): list again")
