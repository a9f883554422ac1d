"""`katib algorithms`: what may stand in `spec.algorithm`, with every setting."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from katibpy import catalog
from katibpy.algo.settings import SettingRow, describe_settings
from katibpy.app.algorithm_sources import AlgorithmSource
from katibpy.app.configuration import read_configuration
from katibpy.cli.options import configuration_option, output_option, usual_state_directory
from katibpy.cli.output_table import Column, table_lines, terminal_width
from katibpy.cli.verbosity import verbose_option
from katibpy.errors import MissingExtra

_DEFAULT_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Described:
    """An algorithm as it is shown.

    Attributes:
        name: what stands in `algorithmName`.
        summary: what it is good for.
        settings: what may stand in `algorithmSettings`.
        problem: why it cannot be used here; empty when it can.
        distribution: which other distribution brings it; empty for katibpy itself.
        source: where a configuration has it from; empty when none names it.
    """

    name: str
    summary: str
    settings: tuple[SettingRow, ...] = ()
    problem: str = ""
    distribution: str = ""
    source: str = ""


@click.command()
@click.argument("name", required=False)
@configuration_option
@output_option("table", "name", "json")
@verbose_option
def algorithms(name: str | None, config: Path | None, output: str) -> None:
    """Shows the search algorithms, or the one called NAME, and what each of their settings may be."""
    sources = read_configuration(usual_state_directory(), config).algorithms
    if name:
        rows = [] if name in sources else [catalog.find(catalog.ALGORITHMS, name)]
    else:
        rows = [row for row in catalog.rows(catalog.ALGORITHMS) if row.name not in sources]
    added = [_elsewhere(source) for each, source in sources.items() if name in (None, each)]
    if output == "name":
        click.echo("\n".join([*(row.name for row in rows), *(each.name for each in added)]))
        return
    described = [*(describe(row) for row in rows), *added]
    if output == "json":
        shown = [_as_json(each) for each in described]
        click.echo(json.dumps(shown[0] if name else shown, indent=2))
        return
    width = terminal_width() or _DEFAULT_WIDTH
    for index, each in enumerate(described):
        if index:
            click.echo()
        for line in _lines(each, width):
            click.echo(line)
    planned = sorted(catalog.ALGORITHMS.planned - {each.name for each in described})
    if planned and not name:
        click.echo()
        click.echo(_filled("Known, but not in this version yet: " + ", ".join(planned), width))


def describe(row: catalog.Row, kind: catalog.Kind = catalog.ALGORITHMS) -> Described:
    """What is known of a catalogue row; one that cannot be loaded says why."""
    try:
        algorithm = catalog.load(kind, row.name)
    except MissingExtra as err:
        return Described(row.name, row.summary, problem=str(err), distribution=row.distribution)
    return Described(
        row.name,
        row.summary or algorithm.summary,
        settings=describe_settings(algorithm.Settings),
        distribution=row.distribution,
    )


def _elsewhere(source: AlgorithmSource) -> Described:
    how = "served at" if source.address else "in the image" if source.image else "started by"
    return Described(source.name, f"{how} {source.origin}", source=source.origin)


def _as_json(described: Described) -> dict[str, Any]:
    data: dict[str, Any] = {"name": described.name, "summary": described.summary}
    data["settings"] = [_setting_json(row) for row in described.settings]
    optional = {
        "problem": described.problem,
        "distribution": described.distribution,
        "source": described.source,
    }
    return data | {key: text for key, text in optional.items() if text}


def _setting_json(row: SettingRow) -> dict[str, Any]:
    rule = {key: value for key, value in asdict(row.rule).items() if value not in (None, (), "")}
    return {"name": row.name, "type": row.type, "default": row.default, **rule, "help": row.help}


def _lines(described: Described, width: int) -> Iterator[str]:
    origin = f" (from {described.distribution})" if described.distribution else ""
    origin = " (of the configuration)" if described.source else origin
    yield _filled(f"{described.name}{origin}: {described.summary}", width)
    if described.problem:
        yield _filled(f"cannot be used here: {described.problem}", width, indent="  ")
        return
    if described.source:
        yield "  settings are its own; the service says what is wrong with them"
        return
    if not described.settings:
        yield "  no settings"
        return
    columns = (Column("SETTING"), Column("TYPE"), Column("DEFAULT"), Column("BOUNDS"))
    rows = [[row.name, row.type, row.default, row.bounds or "-"] for row in described.settings]
    table = list(table_lines(columns, rows))
    yield f"  {table[0]}"
    for row, line in zip(described.settings, table[1:], strict=True):
        yield f"  {line}"
        yield from _help(row, width)


def _help(row: SettingRow, width: int) -> Sequence[str]:
    also = f"also written {', '.join(row.rule.aliases)}" if row.rule.aliases else ""
    text = "; ".join(part for part in (row.help, also) if part)
    return [_filled(text, width, indent="      ")] if text else []


def _filled(text: str, width: int, *, indent: str = "") -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent or "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
