"""`katib explain`: why an experiment or a trial is not advancing, or how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.trial import Trial
from katibpy.app.explaining import why, why_trial
from katibpy.app.state import State
from katibpy.cli.kinds import Target, bare, target_of
from katibpy.cli.options import namespace_option, output_option, state_directory_option
from katibpy.cli.output_explain import explanation, shown_options
from katibpy.cli.output_table import terminal_width
from katibpy.cli.state import found, opened
from katibpy.cli.verbosity import verbose_option
from katibpy.core.explanation.finding import Finding


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[experiment|trial] NAME...")
@output_option("text", "json", default="text")
@namespace_option
@state_directory_option
@verbose_option
@click.pass_context
def explain(ctx: click.Context, words: tuple[str, ...], output: str, namespace: str, state_dir: Path) -> None:
    """Tells why an experiment is not advancing or how it ended, with the evidence and what to do.

    NAME alone is an experiment, or else a trial.
    """
    options = shown_options(ctx)
    with opened(state_dir) as state:
        told = [(resource, _why(state, resource)) for resource in _resources(ctx, state, words, namespace)]
    if output == "json":
        documents = [_document(resource, findings) for resource, findings in told]
        click.echo(
            json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False)
        )
        return
    width = terminal_width()
    pages = (explanation(resource, findings, options=options, width=width) for resource, findings in told)
    click.echo("\n\n".join(pages))


def _resources(ctx: click.Context, state: State, words: Sequence[str], namespace: str) -> list[Resource]:
    if len(words) > 1 or "/" in words[0]:
        target: Target = target_of(ctx, ctx.command.params[0], words)
        if target.kind not in (Experiment, Trial):
            raise click.UsageError("must be about experiments or trials, got suggestions", ctx)
        if target.names:
            return [found(state.resources, target.kind, namespace, name) for name in target.names]
    name = bare(words[0])
    trial = state.resources.find(Trial, namespace, name)
    if trial is not None and state.resources.find(Experiment, namespace, name) is None:
        return [trial]
    return [found(state.resources, Experiment, namespace, name)]


def _why(state: State, resource: Resource) -> tuple[Finding, ...]:
    if isinstance(resource, Trial):
        return why_trial(state, resource)
    assert isinstance(resource, Experiment)
    return why(state, resource)


def _document(resource: Resource, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "kind": resource.kind,
        "namespace": resource.metadata.namespace,
        "name": resource.metadata.name,
        "findings": [
            {
                "kind": each.kind,
                "severity": each.severity.value,
                "what": each.what,
                "evidence": list(each.evidence),
                "advice": each.advice,
            }
            for each in findings
        ],
    }
