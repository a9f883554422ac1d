"""The words by which a user names a kind of resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from katibpy.api.experiment import Experiment
from katibpy.api.model import API_VERSION, Resource
from katibpy.api.paths import did_you_mean
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial

GROUP = API_VERSION.partition("/")[0]

_WORDS: Mapping[str, type[Resource]] = {
    "experiments": Experiment,
    "experiment": Experiment,
    "exps": Experiment,
    "exp": Experiment,
    "trials": Trial,
    "trial": Trial,
    "suggestions": Suggestion,
    "suggestion": Suggestion,
    "sugs": Suggestion,
    "sug": Suggestion,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a command is about.

    Attributes:
        kind: of the objects.
        names: each once; () for all.
    """

    kind: type[Resource]
    names: tuple[str, ...] = ()


def target_of(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> Target:
    """Reads `trials [NAME]...` or `trial/NAME...`; a callback of click."""
    if "/" not in value[0]:
        return Target(_kind(ctx, param, value[0]), tuple(dict.fromkeys(map(bare, value[1:]))))
    pairs = [each.rpartition("/") for each in value]
    kinds = {_kind(ctx, param, kind) for kind, _, _ in pairs}
    if len(kinds) > 1:
        raise click.BadParameter("must be of one kind, got " + " ".join(value), ctx, param)
    return Target(kinds.pop(), tuple(dict.fromkeys(name for _, _, name in pairs)))


def named_target_of(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> Target:
    """As `target_of`, with at least one name."""
    target = target_of(ctx, param, value)
    if not target.names:
        noun = noun_of(target.kind)
        raise click.BadParameter(f"must name at least one {noun}, got none: {noun} NAME", ctx, param)
    return target


def bare(text: str) -> str:
    """The name in `NAME`, in `KIND/NAME` and in `KIND.kubeflow.org/NAME`, as `-o name` prints it."""
    return text.rpartition("/")[2]


def bare_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """As `bare`; a callback of click."""
    return None if value is None else bare(value)


def _kind(ctx: click.Context, param: click.Parameter, word: str) -> type[Resource]:
    found = _WORDS.get(word.lower().removesuffix(f".{GROUP}"))
    if found is None:
        hint = did_you_mean(word, _WORDS)
        raise click.BadParameter(
            f"must be experiments, trials or suggestions, got {word!r}{hint}", ctx, param
        )
    return found


def noun_of(kind: type[Resource]) -> str:
    """`experiment`, `trial` or `suggestion`."""
    return kind.__name__.lower()


def full_name(resource: Resource) -> str:
    """What `-o name` prints, as kubectl does: `trial.kubeflow.org/NAME`."""
    return f"{noun_of(type(resource))}.{GROUP}/{resource.metadata.name}"
