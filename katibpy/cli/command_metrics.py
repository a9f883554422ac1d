"""`katib metrics`: the values that a trial reported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from katibpy.api.trial import Trial
from katibpy.app.state import State
from katibpy.cli.failures import BadInput
from katibpy.cli.kinds import bare_name
from katibpy.cli.options import namespace_option, output_option, state_directory_option
from katibpy.cli.output_table import Column, table_lines, terminal_width
from katibpy.cli.state import found, opened
from katibpy.cli.verbosity import verbose_option
from katibpy.core.records import ObservedValue
from katibpy.display.values import NOTHING, local_time


@click.command(epilog="Values are printed as the trial wrote them; times of csv and json are UTC.")
@click.argument("name", callback=bare_name, metavar="TRIAL")
@click.option("-m", "--metric", metavar="NAME", help="Only this metric.")
@output_option("table", "csv", "json")
@namespace_option
@state_directory_option
@verbose_option
def metrics(name: str, metric: str | None, output: str, namespace: str, state_dir: Path) -> None:
    """Prints the metric values that a trial reported, in the order of their times."""
    with opened(state_dir) as state:
        trial = found(state.resources, Trial, namespace, name)
        values = state.observations.read(trial.metadata.uid or "", metric=metric)
        if metric is not None and not values:
            raise _no_such_metric(state, trial, metric)
    if output == "json":
        click.echo(json.dumps([_as_json(each) for each in values], indent=2, ensure_ascii=False))
    elif output == "csv":
        click.echo(_as_csv(values), nl=False)
    elif not values:
        click.echo(f"trial {name} has reported no metrics", err=True)
    else:
        for line in _table(values):
            click.echo(line)


def _no_such_metric(state: State, trial: Trial, metric: str) -> BadInput:
    reported = state.observations.read(trial.metadata.uid or "")
    names = list(dict.fromkeys(each.metric for each in reported))
    what = f"it reported {', '.join(names)}" if names else "it has reported none yet"
    message = f"trial {trial.metadata.name!r} has no values of metric {metric!r}; {what}"
    return BadInput(message)


def _table(values: Sequence[ObservedValue]) -> list[str]:
    columns = (
        Column("METRIC", is_flexible=True),
        Column("STEP", is_number=True),
        Column("TIME"),
        Column("VALUE"),
    )
    rows = [
        (each.metric, NOTHING if each.step is None else str(each.step), local_time(_moment(each)), each.text)
        for each in values
    ]
    return list(table_lines(columns, rows, width=terminal_width()))


def _as_json(value: ObservedValue) -> dict[str, str | int | None]:
    return {"name": value.metric, "value": value.text, "time": _iso(value), "step": value.step}


def _as_csv(values: Sequence[ObservedValue]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "step", "time", "value"))
    for each in values:
        writer.writerow((each.metric, "" if each.step is None else each.step, _iso(each), each.text))
    return text.getvalue()


def _moment(value: ObservedValue) -> datetime:
    return datetime.fromtimestamp(value.time, UTC)


def _iso(value: ObservedValue) -> str:
    return _moment(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
