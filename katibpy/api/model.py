"""The base of all resource types: how they are spelled in YAML and what every object carries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

API_VERSION = "kubeflow.org/v1beta1"
"""`apiVersion` of the three resources."""


class Model(BaseModel):
    """A frozen value, `snake_case` in Python and `camelCase` in YAML and JSON.

    Unknown fields are kept in `model_extra`, so that a document round-trips; the codec decides
    whether they are an error.
    """

    always_written: ClassVar[frozenset[str]] = frozenset()
    """Fields, by their name in YAML, that are written even when they hold their default."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="allow", protected_namespaces=()
    )

    def __eq__(self, other: object) -> bool:
        """Whether both are of one type and have equal fields, unknown ones included.

        What pydantic's own comparison says of values without private attributes, without its detours.
        """
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Model)
        return self.__dict__ == other.__dict__ and (
            (self.__pydantic_extra__ or {}) == (other.__pydantic_extra__ or {})
        )

    def but(self, **changes: Any) -> Self:
        """A copy with some attributes replaced; nothing is validated again.

        What `model_copy(update=...)` does for declared fields, in half the time: every step of every trial
        makes copies. What is not replaced is shared with the original, as frozen values may be.
        """
        copied = _blank(self.__class__)
        fields = self.__pydantic_fields_set__
        if not fields.issuperset(changes):
            fields = _shared(fields.union(changes))
        _put_values(copied, {**self.__dict__, **changes})
        _put_extra(copied, self.__pydantic_extra__)
        _put_fields_set(copied, fields)
        _put_private(copied, None)
        return copied


_blank = object.__new__
_put_values = BaseModel.__dict__["__dict__"].__set__
_put_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_put_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_put_private = BaseModel.__dict__["__pydantic_private__"].__set__

_field_sets: dict[frozenset[str], set[str]] = {}


def _shared(fields: set[str]) -> set[str]:
    """The one set of these field names: kept once, not with every value that has just these fields."""
    return _field_sets.setdefault(frozenset(fields), fields)


def format_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`, as Kubernetes writes times."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _text(value: Any) -> Any:
    # YAML reads `min: 1` as a number although Katib's fields are strings; what the user wrote is meant.
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else value


Timestamp = Annotated[datetime, PlainSerializer(format_time, return_type=str, when_used="json")]
"""A moment in UTC, written in seconds as Kubernetes does."""

Text = Annotated[str, BeforeValidator(_text)]
"""A string field that also takes a bare YAML number or boolean."""


class OwnerReference(Model):
    """Which object an object belongs to and is deleted with."""

    always_written: ClassVar[frozenset[str]] = frozenset({"apiVersion"})

    api_version: str = API_VERSION
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    """Kubernetes object metadata, as far as katibpy sets or reads it."""

    always_written: ClassVar[frozenset[str]] = frozenset({"name", "namespace"})

    name: str = ""
    generate_name: str | None = None
    namespace: str = "default"
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: dict[str, Text] = Field(default_factory=dict)
    annotations: dict[str, Text] = Field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Condition(Model):
    """One entry of `status.conditions`; the list is ordered by recency, the last is the current one."""

    always_written: ClassVar[frozenset[str]] = frozenset({"status"})

    type: str
    status: str = "True"
    reason: str = ""
    message: str = ""
    last_update_time: Timestamp | None = None
    last_transition_time: Timestamp | None = None


class NameValue(Model):
    """A named string, used for settings and parameter assignments."""

    name: str
    value: Text


class Resource(Model):
    """What Experiment, Suggestion and Trial have in common."""

    always_written: ClassVar[frozenset[str]] = frozenset({"apiVersion", "kind", "metadata"})

    api_version: str = API_VERSION
    kind: str
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def key(self) -> tuple[str, str, str]:
        """`(kind, namespace, name)`."""
        return (self.kind, self.metadata.namespace, self.metadata.name)
