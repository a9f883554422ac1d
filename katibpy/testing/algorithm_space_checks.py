"""Promises about what is proposed: inside the space, well written, without repeats, to the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from katibpy.algo.algorithm import Reply
from katibpy.algo.history import Outcome
from katibpy.algo.space import space_of
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.testing.algorithm_cases import (
    FINITE,
    FINITE_UNEVEN,
    KINDS,
    MIXED,
    crowded_spaces,
    pairs_of,
    past,
    play,
    taken_of,
)
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Question, Subject


def proposes_inside_the_space(subject: Subject) -> None:
    """Proposals lie inside the space, for each kind of parameter and each pair of kinds."""
    for parameters, posed in _of_all_kinds(subject):
        for length in (0, 15):
            question = Question(posed, past(parameters, length), 2)
            for proposal in subject.suggest(question).proposals:
                _must_be_inside(parameters, dict(proposal.assignment), question)


def _of_all_kinds(subject: Subject) -> list[tuple[Sequence[ParameterSpec], Experiment]]:
    """Each kind alone, and any two together: in one space with two others, or, if that is refused, alone."""
    spaces: list[tuple[ParameterSpec, ...]] = [(kind,) for kind in KINDS.values()]
    for crowded in crowded_spaces():
        try:
            taken_of(subject, (crowded,))
        except NotApplicableError:
            spaces += pairs_of(crowded)
        else:
            spaces.append(crowded)
    return taken_of(subject, spaces)


def writes_values_as_the_space_does(subject: Subject) -> None:
    """Each text is the one spelling of its value: whole numbers as such, lists as the user wrote them."""
    for parameters, posed in taken_of(subject, (FINITE, MIXED)):
        space = space_of(parameters)
        for texts in play(subject, posed, trials=20, batch=4).texts:
            values = space.parse_assignment(texts)
            again = space.format_assignment(values) if len(values) == len(space) else {}
            if texts != again:
                raise BrokenPromiseError(f"it wrote {texts}, which the space writes as {again}")


def gives_what_is_asked_for(subject: Subject) -> None:
    """A reply has as many proposals as were asked for; fewer only at the end of the search."""
    for _, posed in taken_of(subject, (FINITE, MIXED)):
        for count in (1, 2, 7):
            question = Question(posed, (), count)
            _must_hold(subject.suggest(question), question)


def batches_hold_no_repeats(subject: Subject) -> None:
    """The proposals of one batch differ from each other, in an endless space and in a finite one."""
    _refuse_if_it_repeats(subject)
    for _, posed in taken_of(subject, (FINITE, MIXED)):
        for length in (0, 20):
            run = play(subject, posed, trials=length, batch=5)
            question = Question(posed, run.lines, 8, run.memory)
            texts = [_key(proposal.assignment) for proposal in subject.suggest(question).proposals]
            if len(set(texts)) < len(texts):
                raise BrokenPromiseError(
                    f"{question}: of {len(texts)} only {len(set(texts))} differ: {texts}"
                )


def pending_trials_are_not_proposed_again(subject: Subject) -> None:
    """What waits or runs is not proposed again."""
    _refuse_if_it_repeats(subject)
    for _, posed in taken_of(subject, (FINITE, MIXED)):
        run = play(subject, posed, trials=20, batch=5)
        lines = list(run.lines)
        for place in range(10, len(lines)):
            outcome = Outcome.ACTIVE if place % 2 else Outcome.PROPOSED
            lines[place] = dataclasses.replace(
                lines[place], outcome=outcome, metrics={}, completion_time=None
            )
        question = Question(posed, lines, 10, run.memory)
        known = {_key(each.assignment) for each in lines}
        again = [dict(each.assignment) for each in subject.suggest(question).proposals]
        repeated = [texts for texts in again if _key(texts) in known]
        if repeated:
            raise BrokenPromiseError(
                f"{question}, the last {len(lines) - 10} pending: proposed again {repeated}"
            )


def goes_through_a_finite_space_once(subject: Subject) -> None:
    """Every assignment of a finite space is proposed exactly once; with the last, the search is over."""
    _refuse_if_it_repeats(subject)
    if subject.parameters:
        raise NotApplicableError("most assignments get no more than a part of its resource")
    for parameters, posed in taken_of(subject, (FINITE, FINITE_UNEVEN, FINITE[:1])):
        for batch in (1, 7):
            _must_go_through_once(subject, posed, parameters, batch)


def _must_go_through_once(
    subject: Subject, posed: Experiment, parameters: Sequence[ParameterSpec], batch: int
) -> None:
    size = space_of(parameters).cardinality or 0
    run = play(subject, posed, trials=size + 10, batch=batch)
    different = {_key(texts) for texts in run.texts}
    where = f"{Question(posed, (), batch)}, asked until the end"
    if len(run.texts) != size or len(different) != size:
        raise BrokenPromiseError(
            f"{where}: {len(run.texts)} proposals, {len(different)} different ones, in a space of {size}"
        )
    early = [place for place, reply in enumerate(run.replies[:-1]) if reply.exhausted]
    if early or not run.replies[-1].exhausted:
        raise BrokenPromiseError(f"{where}: said to be over at replies {early}, not at the last")
    after = subject.suggest(Question(posed, run.lines, 2, run.memory))
    if after.proposals or not after.exhausted:
        raise BrokenPromiseError(
            f"{where} and once more: got {len(after.proposals)} proposals, exhausted={after.exhausted}"
        )


def _must_be_inside(parameters: Sequence[ParameterSpec], texts: dict[str, str], question: Question) -> None:
    space = space_of(parameters)
    outside = [name for name in space.names if space[name].parse(texts.get(name, "")) is None]
    if outside or set(texts) != set(space.names):
        raise BrokenPromiseError(f"{question}: {texts} is outside the space, see {outside or sorted(texts)}")


def _must_hold(reply: Reply, question: Question) -> None:
    got = len(reply.proposals)
    if got > question.count or (got < question.count and not reply.exhausted):
        raise BrokenPromiseError(f"{question}: got {got} proposals, exhausted={reply.exhausted}")


def _refuse_if_it_repeats(subject: Subject) -> None:
    if subject.repeats:
        raise NotApplicableError("it repeats on purpose")


def _key(texts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(texts.items()))
