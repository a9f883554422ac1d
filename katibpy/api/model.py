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

    def but(self, **changes: Any) -> Self:
        """A copy with some attributes replaced; nothing is validated again.

        What `model_copy(update=...)` does for declared fields, in half the time: every step of every trial
        makes copies. What is not replaced is shared with the original, as frozen values may be.
        """
        cls = type(self)
        copied = cls.__new__(cls)
        put = object.__setattr__
        fields = self.__pydantic_fields_set__
        if not fields.issuperset(changes):
            fields = fields | changes.keys()
        put(copied, "__dict__", {**self.__dict__, **changes})
        put(copied, "__pydantic_extra__", self.__pydantic_extra__)
        put(copied, "__pydantic_fields_set__", fields)
        put(copied, "__pydantic_private__", None)
        return copied


def format_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
