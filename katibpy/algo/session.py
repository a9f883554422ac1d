"""What every host of an algorithm does around `suggest`: check, seed, ask, and verify the reply."""

from __future__ import annotations

import dataclasses

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.settings import parse_settings, setting_problems
from katibpy.errors import BadReply, InvalidSettings


def check(algorithm: Algorithm, problem: Problem) -> None:
    """Refuses settings or a space that the algorithm cannot work with.

    Raises:
        InvalidSettings: with everything that is wrong: settings first, then what the algorithm says.
    """
    broken = setting_problems(algorithm.Settings, problem.settings)
    messages = [problem.message for problem in broken]
    bad = {problem.name for problem in broken}
    kept = {name: text for name, text in problem.settings.items() if name not in bad}
    # Without a setting that must be given the algorithm could say nothing of the rest.
    if not any(problem.is_missing for problem in setting_problems(algorithm.Settings, kept)):
        messages += algorithm.validate(seeded(algorithm, dataclasses.replace(problem, settings=kept)))
    if messages:
        raise InvalidSettings(messages)


def seeded(algorithm: Algorithm, problem: Problem) -> Problem:
    """The problem with the seed that counts: the setting `random_state`, where it is one and is given."""
    state = getattr(parse_settings(algorithm.Settings, problem.settings), "random_state", None)
    return problem if state is None else dataclasses.replace(problem, seed=state)


def ask(
    algorithm: Algorithm, problem: Problem, history: History, *, count: int, memory: bytes | None = None
) -> Reply:
    """Asks for up to `count` proposals and verifies the reply.

    Texts of the reply are written in the space's own form, so that equal values have equal texts.

    Args:
        algorithm: whom to ask.
        problem: what to solve.
        history: what happened so far, as the algorithm declares to read it; `total` counts everything.
        count: how many proposals are wanted, at least 1.
        memory: what the last saved reply gave.

    Raises:
        InvalidSettings: as `check`, for the settings alone.
        BadReply: the reply breaks the contract of `Algorithm.suggest`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    effective = seeded(algorithm, problem)
    rng = generator(effective.seed, history.total)
    reply = algorithm.suggest(effective, history, count=count, memory=memory, rng=rng)
    return verified(algorithm.name, problem, reply, count=count)


def verified(name: str, problem: Problem, reply: Reply, *, count: int) -> Reply:
    """The reply, with every proposal complete, inside the space and in the space's own spelling.

    Raises:
        BadReply: naming the algorithm `name`, the proposal and what is wrong with it.
    """
    if len(reply.proposals) > count:
        raise BadReply(f"algorithm {name} was asked for {count} proposals but gave {len(reply.proposals)}")
    if reply.memory is not None and not isinstance(reply.memory, bytes):
        raise BadReply(f"algorithm {name} gave memory of type {type(reply.memory).__name__}, not bytes")
    proposals = tuple(
        _verified_proposal(f"algorithm {name}, proposal {place}", problem, proposal)
        for place, proposal in enumerate(reply.proposals)
    )
    return dataclasses.replace(reply, proposals=proposals)


def _is_text(value: object) -> bool:
    # Plug-ins are not type-checked with us, so what the types promise is looked at all the same.
    return isinstance(value, str)


def _verified_proposal(where: str, problem: Problem, proposal: Proposal) -> Proposal:
    wrong: list[str] = []
    texts: dict[str, str] = {}
    for dimension in problem.space:
        text = proposal.assignment.get(dimension.name)
        value = dimension.parse(text) if text is not None and _is_text(text) else None
        if text is None:
            wrong.append(f"parameter {dimension.name} is missing")
        elif value is None:
            wrong.append(f"parameter {dimension.name} must be a text inside its feasible space, got {text!r}")
        else:
            texts[dimension.name] = dimension.format(value)
    if problem.nas is None:
        wrong += [
            f"there is no parameter {name}"
            for name in proposal.assignment
            if name not in problem.space.by_name
        ]
    else:
        # A NAS Experiment has no space of its own: what an architecture is called is the algorithm's matter.
        texts = {**proposal.assignment, **texts}
    wrong += [
        f"label {name!r} must have a text as value, got {value!r}"
        for name, value in proposal.labels.items()
        if not (_is_text(name) and _is_text(value))
    ]
    if proposal.trial_name is not None and not _is_text(proposal.trial_name):
        wrong.append(f"the trial name must be a text, got {proposal.trial_name!r}")
    if wrong:
        raise BadReply(f"{where}: {'; '.join(wrong)}")
    return dataclasses.replace(proposal, assignment=texts)
