"""Tables and indexes of the SQL stores.

Whatever is asked for, sorted by or counted stands in columns; the rest of a resource is JSON text. A float
column never holds NaN or an infinity: databases disagree on them, so they are kept as text. Any change here
comes with a migration (`migrations/versions`) and a new `REVISION`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0001"
"""The newest migration, the schema that these tables describe."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite makes only an INTEGER key the row's own address.
_Serial = BigInteger().with_variant(Integer, "sqlite")
# Lengths make MySQL choose its long types; elsewhere they mean nothing.
_LongText = Text(2**31 - 1)
_LongBytes = LargeBinary(2**31 - 1)
_Uid = String(64)
_Namespace = String(253)
_Name = String(253)
_Phase = String(32)
# Names are compared byte by byte, which is not MySQL's default.
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The schema's revision, exactly as Alembic keeps it."""

store = Table(
    "store",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", _Uid, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    **_OPTIONS,
)
"""One row: the store's identity, its newest version, and the newest version no longer in the change log."""

objects = Table(
    "objects",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("namespace", _Namespace, nullable=False),
    Column("name", _Name, nullable=False),
    Column("uid", _Uid, nullable=False),
    Column("owner_uid", _Uid),
    Column("resource_version", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("deleted_at", Double),
    Column("started_at", Double),
    Column("completed_at", Double),
    Column("phase", _Phase, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("rank", Double),
    Column("record_version", BigInteger),
    Column("head", _LongText, nullable=False),
    Column("spec", _LongText, nullable=False),
    Column("status", _LongText, nullable=False),
    UniqueConstraint("kind", "namespace", "name"),
    Index("ix_objects_kind", "kind", "id"),
    Index("ix_objects_namespace", "namespace", "kind", "id"),
    Index("ix_objects_owner", "owner_uid", "kind", "id"),
    Index("ix_objects_phase", "owner_uid", "kind", "phase", "number", "id"),
    Index("ix_objects_rank", "owner_uid", "kind", "phase", "rank", "number", "id"),
    Index("ix_objects_record", "owner_uid", "record_version"),
    Index("ix_objects_deleted", "deleted_at"),
    **_OPTIONS,
)
"""Experiments, Suggestions and Trials.

`id` is the store version an object was created with, so it is the creation order. Times are seconds since
the epoch. For Trials: `rank` is the loss, NULL when the Trial cannot be the best; `record_version` is when
its history line last changed.
"""

labels = Table(
    "labels",
    metadata,
    Column("object_id", _Serial, ForeignKey("objects.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(317), primary_key=True),
    Column("value", String(63), nullable=False),
    Index("ix_labels_name", "name", "value", "object_id"),
    **_OPTIONS,
)
"""Labels of objects, once more, to select by."""

proposals = Table(
    "proposals",
    metadata,
    Column("experiment_uid", _Uid, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", _Name, nullable=False),
    Column("record_version", BigInteger, nullable=False),
    Column("assignment", _LongText, nullable=False),
    UniqueConstraint("experiment_uid", "name"),
    Index("ix_proposals_record", "experiment_uid", "record_version"),
    **_OPTIONS,
)
"""Proposals without a Trial."""

memories = Table(
    "memories",
    metadata,
    Column("experiment_uid", _Uid, primary_key=True),
    Column("content", _LongBytes, nullable=False),
    **_OPTIONS,
)
"""What algorithms asked to be handed back."""

tallies = Table(
    "tallies",
    metadata,
    Column("experiment_uid", _Uid, primary_key=True),
    Column("phase", _Phase, primary_key=True),
    Column("count", BigInteger, nullable=False),
    **_OPTIONS,
)
"""Number of Trials by phase, written in the transaction that changes a phase."""

removals = Table(
    "removals",
    metadata,
    Column("experiment_uid", _Uid, primary_key=True),
    Column("name", _Name, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index("ix_removals_version", "experiment_uid", "version"),
    **_OPTIONS,
)
"""History lines that are gone, as long as their Experiment is there."""

changes = Table(
    "changes",
    metadata,
    Column("version", _Serial, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("namespace", _Namespace, nullable=False),
    Column("name", _Name, nullable=False),
    Column("uid", _Uid, nullable=False),
    Column("type", String(16), nullable=False),
    **_OPTIONS,
)
"""The change log: one row for each of the newest versions, without gaps."""

series = Table(
    "series",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("trial_uid", _Uid, nullable=False),
    UniqueConstraint("trial_uid"),
    **_OPTIONS,
)
"""Trials that reported something: a short number for their uid."""

metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(700), nullable=False),
    UniqueConstraint("name"),
    **_OPTIONS,
)
"""Metric names: a short number for each."""

observations = Table(
    "observations",
    metadata,
    Column("series_id", _Serial, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("metric_id", Integer, ForeignKey("metrics.id"), nullable=False),
    Column("time", Double, nullable=False),
    Column("step", BigInteger),
    Column("value", Double),
    Column("text", _LongText),
    Index("ix_observations_metric", "series_id", "metric_id", "time", "sequence"),
    sqlite_with_rowid=False,
    **_OPTIONS,
)
"""Values: `value` when it is a finite number, `text` when the number does not spell it."""

summaries = Table(
    "summaries",
    metadata,
    Column("series_id", _Serial, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("metric_id", Integer, ForeignKey("metrics.id"), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("least_sequence", BigInteger),
    Column("least", _LongText),
    Column("greatest_sequence", BigInteger),
    Column("greatest", _LongText),
    Column("latest_time", Double, nullable=False),
    Column("latest_sequence", BigInteger, nullable=False),
    Column("latest", _LongText, nullable=False),
    Column("latest_number_time", Double),
    Column("latest_number_sequence", BigInteger),
    Column("latest_number", _LongText),
    sqlite_with_rowid=False,
    **_OPTIONS,
)
"""A summary of each series of each metric, written in the transaction that adds its values."""
