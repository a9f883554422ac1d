"""How findings are written for people."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence

import click

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.trial import Trial
from katibpy.core.explanation.finding import Finding, Severity
from katibpy.core.phases import experiment_phase, trial_phase
from katibpy.display.plain_text import clean
from katibpy.display.values import between, counted

_LABELS = {
    Severity.PROBLEM: "PROBLEM",
    Severity.WAITING: "WAITING",
    Severity.NOTE: "NOTE",
    Severity.RESULT: "RESULT",
}
_INDENT = " " * 9
_WIDTH = 110
_TIED = "\u2060"
"""Stands for a blank that ends no line."""

_QUOTED = re.compile(r"`[^`]*`")
_COMMAND = re.compile(r"`(katib (?:logs|describe|metrics|explain|delete) [^`]*)`")


def shown_options(ctx: click.Context) -> str:
    """What other commands need to find the same resource: the options of this one, as they were given."""
    spellings = {"namespace": "-n", "state_dir": "--state-dir"}
    words: list[str] = []
    for name, spelling in spellings.items():
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            words += [spelling, str(ctx.params[name])]
    return shlex.join(words)


def explanation(
    resource: Resource, findings: Iterable[Finding], *, options: str = "", width: int | None = None
) -> str:
    """All findings about a resource.

    Args:
        resource: an Experiment or a Trial.
        findings: about it, the one that matters most first.
        options: what other commands need to find it.
        width: of the terminal, None when it is none.
    """
    parts = [_headline(resource)]
    parts += ["\n".join(finding_lines(each, options=options, width=width)) for each in findings]
    return "\n\n".join(parts)


def finding_lines(finding: Finding, *, options: str = "", width: int | None = None) -> list[str]:
    """One finding: what, the evidence below it, and what to do."""
    room = max(min(width or _WIDTH, _WIDTH) - len(_INDENT), 40)
    first, *others = _wrapped(finding.what, room)
    lines = [f"{_LABELS[finding.severity]:{len(_INDENT)}}{first}", *(_INDENT + line for line in others)]
    for entry in finding.evidence:
        lines += [f"{_INDENT}  {line}".rstrip() for line in clean(entry).split("\n")]
    if finding.advice:
        first, *others = _wrapped(with_options(finding.advice, options), room - 4)
        lines += [f"{_INDENT}do: {first}", *(f"{_INDENT}    {line}" for line in others)]
    return lines


def with_options(advice: str, options: str) -> str:
    """The advice, its commands with these options."""
    return _COMMAND.sub(lambda match: f"`{match[1]} {options}`", advice) if options else advice


def _wrapped(text: str, room: int) -> Sequence[str]:
    """The lines of a text; a command in it, which stands in backquotes, is never torn apart."""
    whole = _QUOTED.sub(lambda match: match[0].replace(" ", _TIED), clean(text))
    return [
        line.replace(_TIED, " ")
        for paragraph in whole.split("\n")
        for line in textwrap.wrap(paragraph, room, break_long_words=False, break_on_hyphens=False) or [""]
    ]


def _headline(resource: Resource) -> str:
    name = resource.metadata.name
    if isinstance(resource, Trial):
        phase = trial_phase(resource.status.conditions).value
        took = between(resource.status.start_time, resource.status.completion_time)
        return f"trial {name}: {phase}, {took} since it was created"
    assert isinstance(resource, Experiment)
    status, limit = resource.status, resource.spec.max_trial_count
    of = "" if limit is None else f" of up to {limit}"
    took = between(status.start_time, status.completion_time)
    phase = experiment_phase(status.conditions).value
    return f"experiment {name}: {phase}, {counted(status.trials, 'trial')}{of}, {took}"
