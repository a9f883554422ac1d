"""Conditions, metadata and metrics as every `katib describe` shows them."""

from __future__ import annotations

from collections.abc import Iterable

from katibpy.api.experiment import Metric, Objective
from katibpy.api.model import Condition, ObjectMeta
from katibpy.cli.output_table import Column
from katibpy.cli.output_text import Page
from katibpy.display.plain_text import clean
from katibpy.display.values import NOTHING, local_time, picked, short_number

_METRIC_COLUMNS = (
    Column("METRIC"),
    Column("VALUE", is_number=True),
    Column("MIN", is_number=True),
    Column("MAX", is_number=True),
    Column("LATEST", is_number=True),
)


def write_metadata(page: Page, meta: ObjectMeta) -> None:
    """Name, namespace, labels, annotations, uid and creation time."""
    page.field("Name", meta.name)
    page.field("Namespace", meta.namespace)
    if meta.labels:
        page.pairs("Labels", meta.labels.items())
    if meta.annotations:
        page.pairs("Annotations", meta.annotations.items())
    page.field("Uid", meta.uid or NOTHING)
    page.field("Created", local_time(meta.creation_timestamp))
    if meta.deletion_timestamp is not None:
        page.field("Deleting since", local_time(meta.deletion_timestamp))


def write_conditions(page: Page, conditions: Iterable[Condition]) -> None:
    """Every condition, oldest first; long messages follow the table in full."""
    listed = tuple(conditions)
    page.section("Conditions")
    if not listed:
        page.block("none yet")
        return
    columns = (Column("TYPE"), Column("STATUS"), Column("REASON", is_flexible=True), Column("SINCE"))
    page.table(
        columns,
        [
            (
                each.type,
                each.status,
                each.reason or NOTHING,
                local_time(each.last_transition_time or each.last_update_time),
            )
            for each in listed
        ],
    )
    page.section("Messages")
    for each in listed:
        page.field(each.type, clean(each.message))


def write_metrics(page: Page, metrics: Iterable[Metric], objective: Objective | None) -> None:
    """One row for each metric; VALUE is what its strategy picks."""
    rows = [
        (each.name, picked(each, objective), *map(short_number, (each.min, each.max, each.latest)))
        for each in metrics
    ]
    if rows:
        page.table(_METRIC_COLUMNS, rows)
    else:
        page.block("none yet")
