"""The words by which a user names a kind of resource."""

from __future__ import annotations

from collections.abc import Mapping

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


def kind_of(ctx: click.Context, param: click.Parameter, value: str) -> type[Resource]:
    """The type that `experiments`, `exp`, `trial.kubeflow.org` ... name; a callback of click."""
    word = value.lower().removesuffix(f".{GROUP}")
    found = _WORDS.get(word)
    if found is None:
        hint = did_you_mean(word, _WORDS)
        raise click.BadParameter(
            f"must be experiments, trials or suggestions, got {value!r}{hint}", ctx, param
        )
    return found


def noun_of(kind: type[Resource]) -> str:
    """`experiment`, `trial` or `suggestion`."""
    return kind.__name__.lower()


def full_name(resource: Resource) -> str:
    """What `-o name` prints, as kubectl does: `trial.kubeflow.org/NAME`."""
    return f"{noun_of(type(resource))}.{GROUP}/{resource.metadata.name}"
