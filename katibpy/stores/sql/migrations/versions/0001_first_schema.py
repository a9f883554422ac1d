"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text(2**31 - 1)
_LONG_BYTES = sa.LargeBinary(2**31 - 1)
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("version", _SERIAL, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("namespace", sa.String(length=253), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_changes"),
        **_OPTIONS,
    )
    op.create_table(
        "memories",
        sa.Column("experiment_uid", sa.String(length=64), nullable=False),
        sa.Column("content", _LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint("experiment_uid", name="pk_memories"),
        **_OPTIONS,
    )
    op.create_table(
        "metrics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=700), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_metrics"),
        sa.UniqueConstraint("name", name="uq_metrics_name"),
        **_OPTIONS,
    )
    op.create_table(
        "objects",
        sa.Column("id", _SERIAL, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("namespace", sa.String(length=253), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("owner_uid", sa.String(length=64), nullable=True),
        sa.Column("resource_version", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("completed_at", sa.Double(), nullable=True),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=True),
        sa.Column("record_version", sa.BigInteger(), nullable=True),
        sa.Column("head", _LONG_TEXT, nullable=False),
        sa.Column("spec", _LONG_TEXT, nullable=False),
        sa.Column("status", _LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_objects"),
        sa.UniqueConstraint("kind", "namespace", "name", name="uq_objects_kind_namespace_name"),
        **_OPTIONS,
    )
    op.create_index("ix_objects_deleted", "objects", ["deleted_at"])
    op.create_index("ix_objects_kind", "objects", ["kind", "id"])
    op.create_index("ix_objects_namespace", "objects", ["namespace", "kind", "id"])
    op.create_index("ix_objects_owner", "objects", ["owner_uid", "kind", "id"])
    op.create_index("ix_objects_phase", "objects", ["owner_uid", "kind", "phase", "number", "id"])
    op.create_index("ix_objects_rank", "objects", ["owner_uid", "kind", "phase", "rank", "number", "id"])
    op.create_index("ix_objects_record", "objects", ["owner_uid", "record_version"])
    op.create_table(
        "proposals",
        sa.Column("experiment_uid", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("record_version", sa.BigInteger(), nullable=False),
        sa.Column("assignment", _LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("experiment_uid", "number", name="pk_proposals"),
        sa.UniqueConstraint("experiment_uid", "name", name="uq_proposals_experiment_uid_name"),
        **_OPTIONS,
    )
    op.create_index("ix_proposals_record", "proposals", ["experiment_uid", "record_version"])
    op.create_table(
        "removals",
        sa.Column("experiment_uid", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_uid", "name", name="pk_removals"),
        **_OPTIONS,
    )
    op.create_index("ix_removals_version", "removals", ["experiment_uid", "version"])
    op.create_table(
        "series",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("trial_uid", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("trial_uid", name="uq_series_trial_uid"),
        **_OPTIONS,
    )
    op.create_table(
        "store",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
        **_OPTIONS,
    )
    op.create_table(
        "tallies",
        sa.Column("experiment_uid", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_uid", "phase", name="pk_tallies"),
        **_OPTIONS,
    )
    op.create_table(
        "labels",
        sa.Column("object_id", _SERIAL, nullable=False),
        sa.Column("name", sa.String(length=317), nullable=False),
        sa.Column("value", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(
            ["object_id"], ["objects.id"], name="fk_labels_object_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("object_id", "name", name="pk_labels"),
        **_OPTIONS,
    )
    op.create_index("ix_labels_name", "labels", ["name", "value", "object_id"])
    op.create_table(
        "observations",
        sa.Column("series_id", _SERIAL, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("text", _LONG_TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_observations_series_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name="fk_observations_metric_id"),
        sa.PrimaryKeyConstraint("series_id", "sequence", name="pk_observations"),
        sqlite_with_rowid=False,
        **_OPTIONS,
    )
    op.create_index("ix_observations_metric", "observations", ["series_id", "metric_id", "time", "sequence"])
    op.create_table(
        "summaries",
        sa.Column("series_id", _SERIAL, nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("least_sequence", sa.BigInteger(), nullable=True),
        sa.Column("least", _LONG_TEXT, nullable=True),
        sa.Column("greatest_sequence", sa.BigInteger(), nullable=True),
        sa.Column("greatest", _LONG_TEXT, nullable=True),
        sa.Column("latest_time", sa.Double(), nullable=False),
        sa.Column("latest_sequence", sa.BigInteger(), nullable=False),
        sa.Column("latest", _LONG_TEXT, nullable=False),
        sa.Column("latest_number_time", sa.Double(), nullable=True),
        sa.Column("latest_number_sequence", sa.BigInteger(), nullable=True),
        sa.Column("latest_number", _LONG_TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_summaries_series_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name="fk_summaries_metric_id"),
        sa.PrimaryKeyConstraint("series_id", "metric_id", name="pk_summaries"),
        sqlite_with_rowid=False,
        **_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("summaries")
    op.drop_table("observations")
    op.drop_table("labels")
    op.drop_table("tallies")
    op.drop_table("store")
    op.drop_table("series")
    op.drop_table("removals")
    op.drop_table("proposals")
    op.drop_table("objects")
    op.drop_table("metrics")
    op.drop_table("memories")
    op.drop_table("changes")
