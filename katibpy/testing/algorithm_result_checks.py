"""Promises about results and settings: what an algorithm makes of losses, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from katibpy.algo.history import Outcome
from katibpy.algo.law import below_one
from katibpy.algo.randomness import generator
from katibpy.algo.settings import SettingRow
from katibpy.algo.space import Value, space_of
from katibpy.api.experiment import Experiment, ParameterSpec, ParameterType
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import (
    FINITE,
    MIXED,
    SPACES,
    Objectives,
    experiment,
    parameter,
    past,
    play,
    smooth,
    taken_of,
)
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Question, Subject

_TRIALS = 40
_UNTRAINED = 0.05
"""What a trial's loss is too high by when it was given nothing of what it could cost."""
_SEEDS = 6
_CHEAP_TRIALS = 6 * _TRIALS
_CHEAP_SEEDS = 3 * _SEEDS
_CHEAP_BATCH = 16
_RANDOM_SEEDS = 40
_WIN_SHARE = 0.65
"""Share of all pairs of runs in which the algorithm's best must beat random search's: 0.5 is no better."""

ODD_OUTCOMES: Sequence[tuple[Outcome, str | None]] = (
    (Outcome.SUCCEEDED, ""),
    (Outcome.FAILED, None),
    (Outcome.SUCCEEDED, "nan"),
    (Outcome.EARLY_STOPPED, ""),
    (Outcome.SUCCEEDED, "inf"),
    (Outcome.KILLED, None),
    (Outcome.SUCCEEDED, "-inf"),
    (Outcome.ACTIVE, None),
    (Outcome.SUCCEEDED, None),
    (Outcome.EARLY_STOPPED, None),
    (Outcome.PROPOSED, None),
    (Outcome.SUCCEEDED, ""),
)
"""Everything that may become of a trial, with the objective's text; "" stands for the real one."""


def odd_results_do_no_harm(subject: Subject) -> None:
    """Failed, killed, stopped and pending trials, NaN, infinite and missing losses never break a request."""
    for parameters, posed in taken_of(subject, SPACES.values()):
        mixed = past(parameters, 24, outcomes=ODD_OUTCOMES)
        alike = [past(parameters, 12, outcomes=(outcome,)) for outcome in ODD_OUTCOMES]
        for lines in (mixed, *alike):
            question = Question(posed, lines, 2)
            reply = subject.suggest(question)
            if len(reply.proposals) < 2 and not reply.exhausted:
                raise BrokenPromiseError(f"{question}: got {len(reply.proposals)} proposals")


def entries_of_another_space_do_no_harm(subject: Subject) -> None:
    """History entries outside the space, or without some of its parameters, never break a request."""
    for parameters, posed in taken_of(subject, (MIXED, FINITE)):
        lines = past(parameters, 12)
        for place in range(0, 12, 3):
            changed = dict(lines[place].assignment)
            changed.pop(parameters[place % len(parameters)].name)
            changed["unknown"] = "1"
            lines[place] = dataclasses.replace(lines[place], assignment=changed)
        question = Question(posed, lines, 2)
        if len(subject.suggest(question).proposals) != 2:
            raise BrokenPromiseError(f"{question}: some entries are of another space; it gave less than 2")


def names_each_bad_setting(subject: Subject) -> None:
    """A setting of a wrong type, outside its limits or unknown is refused by name and value."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    for name, text in (*_wrong_texts(subject.described), ("no_such_setting", "17")):
        posed = experiment(subject, parameters, settings={name: text})
        try:
            subject.check(posed)
        except InvalidSettings as refusal:
            if name not in str(refusal):
                raise BrokenPromiseError(
                    f"setting {name}={text}: refused without its name: {refusal}"
                ) from None
            continue
        raise BrokenPromiseError(f"setting {name}={text}: accepted")


def reports_all_bad_settings_at_once(subject: Subject) -> None:
    """Two bad settings are both named in one refusal."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    posed = experiment(subject, parameters, settings={"no_such_setting": "1", "nor_this": "2"})
    try:
        subject.check(posed)
    except InvalidSettings as refusal:
        missing = [name for name in ("no_such_setting", "nor_this") if name not in str(refusal)]
        if missing:
            raise BrokenPromiseError(f"refused without naming {missing}: {refusal}") from None
    else:
        raise BrokenPromiseError("settings no_such_setting=1, nor_this=2: accepted")


def accepts_its_defaults(subject: Subject) -> None:
    """Every setting takes its own default when it is written out."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    for row in subject.described:
        if row.default == "required":
            continue
        try:
            subject.check(experiment(subject, parameters, settings={row.name: row.default}))
        except InvalidSettings as refusal:
            raise BrokenPromiseError(f"setting {row.name}={row.default}, its default: {refusal}") from None


def finds_better_than_random_search(subject: Subject) -> None:
    """An algorithm that learns finds better values than random search at the same cost on easy landscapes."""
    if not subject.learns:
        raise NotApplicableError("it does not learn")
    shares = {}
    for name, (parameters, landscape) in _landscapes().items():
        try:
            taken_of(subject, (parameters,))
        except NotApplicableError:
            continue
        shares[name] = _win_share(subject, parameters, landscape)
    if not shares:
        raise NotApplicableError("it refuses all landscapes")
    if sum(shares.values()) / len(shares) < _WIN_SHARE:
        raise BrokenPromiseError(
            f"best of what {_TRIALS} trials cost: it beats random search in these shares of "
            f"pairs: {shares}; expected {_WIN_SHARE} on average"
        )


def losses_change_nothing_unless_it_learns(subject: Subject) -> None:
    """An algorithm that does not learn proposes the same whatever the losses are."""
    if subject.learns:
        raise NotApplicableError("it learns")
    for parameters, posed in taken_of(subject, SPACES.values()):
        replies = [
            subject.suggest(Question(posed, past(parameters, 12, negate=negate), 3))
            for negate in (False, True)
        ]
        if replies[0] != replies[1]:
            raise BrokenPromiseError(f"{Question(posed, (), 3)}: other losses gave other proposals")


def _wrong_texts(rows: Sequence[SettingRow]) -> Iterator[tuple[str, str]]:
    for row in rows:
        rule, kind = row.rule, row.type.removesuffix(" or None")
        if kind in ("int", "float", "bool"):
            yield row.name, "many"
        if kind in ("int", "float"):
            yield row.name, "nan"
        if kind == "int":
            yield row.name, "1.5"
        if rule.choices or "|" in kind:
            yield row.name, "no-such-choice"
        for bound, away in ((rule.minimum, -1), (rule.maximum, 1), (rule.above, 0), (rule.below, 0)):
            if bound is not None:
                yield row.name, f"{bound + away:g}"


def _landscapes() -> Mapping[str, tuple[Sequence[ParameterSpec], Objectives]]:
    names = tuple("abcde")
    bowl = tuple(parameter(name, ParameterType.DOUBLE, min="0", max="1") for name in names)
    steps = tuple(parameter(name, ParameterType.INT, min="0", max="20") for name in names[:4])

    def training(assignment: Mapping[str, Value]) -> float:
        rate = math.log10(float(assignment["rate"]))
        penalty = {"relu": 0.0, "tanh": 0.4, "gelu": 0.2}[str(assignment["activation"])]
        width = abs(math.log2(float(assignment["width"])) - 6)
        return (rate + 2) ** 2 + 3 * abs(float(assignment["momentum"]) - 0.6) + penalty + 0.2 * width

    return {
        "bowl": (bowl, smooth(space_of(bowl))),
        "steps": (steps, smooth(space_of(steps))),
        "training": (MIXED, training),
    }


def _win_share(subject: Subject, parameters: Sequence[ParameterSpec], landscape: Objectives) -> float:
    space = space_of(parameters)
    found = [
        _best(subject, experiment(subject, parameters, seed=seed, uid=f"seed-{seed}"), landscape)
        for seed in range(_CHEAP_SEEDS if subject.parameters else _SEEDS)
    ]
    drawn = [
        min(
            landscape(space.from_unit_cube(point.tolist()))
            for point in generator(seed, 1).random((_TRIALS, len(space)))
        )
        for seed in range(_RANDOM_SEEDS)
    ]
    return sum(one < other for one in found for other in drawn) / (len(found) * len(drawn))


def _best(subject: Subject, posed: Experiment, landscape: Objectives) -> float:
    """The lowest loss of what `_TRIALS` whole trials cost, where there may be more that cost less.

    The parameters that the algorithm cannot do without are its resource: a trial costs the part that it is
    given of their largest values, and its loss is the higher the smaller that part.
    """
    resources = space_of(subject.parameters)

    def share(assignment: Mapping[str, Value]) -> float:
        highest = {dimension.name: dimension.from_unit(below_one(1.0)) for dimension in resources}
        return math.prod(float(assignment[name]) / float(most) for name, most in highest.items())

    def loss(assignment: Mapping[str, Value]) -> float:
        return landscape(assignment) + _UNTRAINED * (1 - share(assignment))

    if not len(resources):
        run = play(subject, posed, trials=_TRIALS, objective=landscape)
        if any(CHECKPOINT_FROM_LABEL in each.labels for each in run.lines):
            raise NotApplicableError(
                "its trials train on what others left, which such a landscape does not show"
            )
        return min(run.losses)
    run = play(subject, posed, trials=_CHEAP_TRIALS, batch=_CHEAP_BATCH, objective=loss)
    space = space_of(posed.spec.parameters)
    costs = accumulate(share(space.parse_assignment(texts)) for texts in run.texts)
    return min(loss for loss, cost in zip(run.losses, costs, strict=True) if cost <= _TRIALS)
