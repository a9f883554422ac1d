"""Resources as rows: what goes into columns, what into JSON, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from pydantic_core import to_json

from katibpy.api.model import Model, Resource
from katibpy.api.trial import Trial
from katibpy.core.records import rank_of
from katibpy.stores.resource_rules import owner_uid_of, phase_of, spec_of, status_of
from katibpy.stores.sql import schema
from katibpy.stores.sql.transaction import Row

R = TypeVar("R", bound=Resource)
M = TypeVar("M", bound=Model)

READ = (
    schema.objects.c.id,
    schema.objects.c.uid,
    schema.objects.c.owner_uid,
    schema.objects.c.resource_version,
    schema.objects.c.generation,
    schema.objects.c.deleted_at,
    schema.objects.c.phase,
    schema.objects.c.record_version,
    schema.objects.c.head,
    schema.objects.c.spec,
    schema.objects.c.status,
)
"""The columns that `resource_of` needs."""

# What has a column of its own and changes without the rest.
_METADATA_COLUMNS = {"resource_version", "generation", "deletion_timestamp"}


def written(model: Model, exclude: Any = None) -> str:
    """The model as JSON that reads back equal: times to the microsecond, NaN and infinities as such."""
    # The models' own JSON form cuts times to seconds; their Python form does not.
    content = model.model_dump(by_alias=True, exclude_unset=True, exclude=exclude)
    return to_json(content, inf_nan_mode="constants").decode()


def head_of(resource: Resource) -> str:
    """Everything but spec, status and what has columns, as JSON."""
    return written(resource, {"spec": True, "status": True, "metadata": _METADATA_COLUMNS})


def seconds(moment: datetime | None) -> float | None:
    """Seconds since the epoch."""
    return None if moment is None else moment.timestamp()


def moment(seconds_since_epoch: float | None) -> datetime | None:
    """The moment in UTC, to the microsecond."""
    return None if seconds_since_epoch is None else datetime.fromtimestamp(seconds_since_epoch, UTC)


def created_columns(resource: Resource, *, version: int) -> dict[str, Any]:
    """All columns of a new object."""
    kind, namespace, name = resource.key
    metadata = resource.metadata
    return {
        "id": version,
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "uid": metadata.uid,
        "owner_uid": owner_uid_of(resource),
        "resource_version": version,
        "generation": metadata.generation,
        "created_at": seconds(metadata.creation_timestamp),
        "deleted_at": None,
        "record_version": version if isinstance(resource, Trial) else None,
        "head": head_of(resource),
        "spec": written(spec_of(resource)),
        "status": written(status_of(resource)),
        **derived_columns(resource),
    }


def derived_columns(resource: Resource) -> dict[str, Any]:
    """The columns that follow from spec and status."""
    status = cast("Any", status_of(resource))
    return {
        "phase": phase_of(resource),
        "number": (resource.spec.number or 0) if isinstance(resource, Trial) else 0,
        "started_at": seconds(status.start_time),
        "completed_at": seconds(status.completion_time),
        "rank": rank_of(resource) if isinstance(resource, Trial) else None,
    }


def resource_of(kind: type[R], row: Row) -> R:
    """The object of a row with the columns `READ`."""
    # The head is an object with at least a name; read in one go, the parts need no defaults in between.
    resource = kind.model_validate_json(f'{row.head[:-1]},"spec":{row.spec},"status":{row.status}}}')
    metadata = resource.metadata.but(
        resource_version=str(row.resource_version),
        generation=row.generation,
        deletion_timestamp=moment(row.deleted_at),
    )
    return resource.but(metadata=metadata)
