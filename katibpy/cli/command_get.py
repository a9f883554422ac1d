"""`katib get`: lists of resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from katibpy.api.codec import dump_json, dump_yaml, to_dict
from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.trial import EXPERIMENT_LABEL, Trial
from katibpy.cli.kinds import Target, bare_name, full_name, noun_of, target_of
from katibpy.cli.options import (
    label_pairs,
    namespace_option,
    output_option,
    state_directory_option,
)
from katibpy.cli.output_lists import list_columns, list_row
from katibpy.cli.output_table import table_lines, terminal_width
from katibpy.cli.state import all_of, found, opened
from katibpy.cli.verbosity import verbose_option
from katibpy.ports import ResourceStore


@click.command(
    epilog="\b\nShort words: exp, trial, sug.\n"
    "With -o json and -o yaml, one NAME prints the object, anything else a List."
)
@click.argument(
    "target",
    nargs=-1,
    required=True,
    callback=target_of,
    metavar="experiments|trials|suggestions [NAME]...",
)
@click.option("-e", "--experiment", callback=bare_name, metavar="NAME", help="Only what belongs to it.")
@click.option(
    "-l",
    "--selector",
    "labels",
    multiple=True,
    callback=label_pairs,
    metavar="LABEL=VALUE",
    help="Only objects with this label; several with commas.",
)
@output_option("table", "wide", "yaml", "json", "name")
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in every namespace.")
@state_directory_option
@verbose_option
def get(
    target: Target,
    experiment: str | None,
    labels: dict[str, str],
    output: str,
    namespace: str,
    all_namespaces: bool,
    state_dir: Path,
) -> None:
    """Lists experiments, trials or suggestions, or those of the given NAMEs."""
    kind, names = target.kind, target.names
    with opened(state_dir) as state:
        if names and all_namespaces:
            raise click.UsageError("a NAME is looked for in one namespace: give -n instead of -A")
        if names:
            listed = [found(state.resources, kind, namespace, name) for name in names]
            listed = [each for each in listed if _fits(each, experiment, labels)]
        else:
            listed = _listed(state.resources, kind, None if all_namespaces else namespace, experiment, labels)
    if output in ("json", "yaml"):
        _print_whole(listed, output, alone=len(names) == 1)
    elif output == "name":
        for resource in listed:
            click.echo(full_name(resource))
    elif not listed:
        where = "" if all_namespaces else f" in namespace {namespace!r}"
        click.echo(f"no {noun_of(kind)}s{where}", err=True)
    else:
        _print_table(kind, listed, is_wide=output == "wide", with_namespace=all_namespaces)


def _listed(
    resources: ResourceStore,
    kind: type[Resource],
    namespace: str | None,
    experiment: str | None,
    labels: dict[str, str],
) -> list[Resource]:
    if experiment is not None and kind is Trial:
        if namespace is not None:
            owner = found(resources, Experiment, namespace, experiment)
            return list(all_of(resources, kind, owner_uid=owner.metadata.uid, labels=labels))
        labels = {**labels, EXPERIMENT_LABEL: experiment}
    listed = all_of(resources, kind, namespace=namespace, labels=labels)
    return [each for each in listed if _fits(each, experiment, labels)]


def _fits(resource: Resource, experiment: str | None, labels: dict[str, str]) -> bool:
    meta = resource.metadata
    owner = meta.labels.get(EXPERIMENT_LABEL) if isinstance(resource, Trial) else meta.name
    return (experiment is None or owner == experiment) and labels.items() <= meta.labels.items()


def _print_whole(resources: Sequence[Resource], output: str, *, alone: bool) -> None:
    if alone and len(resources) == 1:
        text = dump_json(resources[0]) if output == "json" else dump_yaml(resources[0])
    else:
        text = listing(resources, output)
    click.echo(text.rstrip("\n"))


def listing(resources: Iterable[Resource], output: str) -> str:
    """A Kubernetes `List` of resources, as `json` or `yaml`."""
    data = {"apiVersion": "v1", "kind": "List", "items": [to_dict(each) for each in resources]}
    return json.dumps(data, indent=2, ensure_ascii=False) if output == "json" else dump_yaml(data)


def _print_table(
    kind: type[Resource], resources: Sequence[Resource], *, is_wide: bool, with_namespace: bool
) -> None:
    columns = list_columns(kind, resources, is_wide=is_wide, with_namespace=with_namespace)
    rows = (list_row(each, is_wide=is_wide, with_namespace=with_namespace) for each in resources)
    for line in table_lines(columns, rows, width=None if is_wide else terminal_width()):
        click.echo(line)
