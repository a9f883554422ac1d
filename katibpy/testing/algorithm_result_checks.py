"""Promises about results and settings: what an algorithm makes of losses, and what it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from katibpy.algo.history import Outcome
from katibpy.algo.settings import SettingRow
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import FINITE, MIXED, SPACES, experiment, past, taken_of
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Question, Subject

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
