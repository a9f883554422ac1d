"""Promises about repeatability: a reply follows from the request and from nothing else."""

from __future__ import annotations

from katibpy.algo.algorithm import Reply
from katibpy.algo.history import Outcome
from katibpy.api.experiment import ObjectiveType
from katibpy.testing.algorithm_cases import SPACES, experiment, extended, past, play, taken_of
from katibpy.testing.algorithm_probe import probe
from katibpy.testing.algorithm_subject import BrokenPromiseError, Question, Subject

_BATCHES = (1, 1, 4)
"""How many proposals are asked for in turn, one after another and several at once."""


def same_request_same_reply(subject: Subject) -> None:
    """The same request gets the same reply again, also after a restart."""
    for parameters, posed in taken_of(subject, SPACES.values()):
        question = Question(posed, past(parameters, 20), 3)
        first = subject.suggest(question)
        for asked, when in ((subject, "again"), (subject.restarted(), "after a restart")):
            _must_equal(first, asked.suggest(question), f"{question}, asked {when}")


def same_reply_in_another_process(subject: Subject) -> None:
    """Another process with another hash seed proposes the same."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    name = next(name for name, space in SPACES.items() if extended(subject, space) == parameters)
    arguments = (name, "16", "3")
    here = probe(subject.restarted(), arguments)
    for hash_seed in (0, 4_321):
        there = subject.elsewhere(arguments, hash_seed=hash_seed)
        if here != there:
            place = next(
                (n for n, (one, other) in enumerate(zip(here, there, strict=False)) if one != other), -1
            )
            raise BrokenPromiseError(
                f"space {name}, hash seed {hash_seed}: proposal {place} is {here[place]} here and "
                f"{there[place]} there"
            )


def restarts_change_nothing(subject: Subject) -> None:
    """A run of 30 trials proposes the same when the algorithm is restarted before every request."""
    for _, posed in taken_of(subject, SPACES.values()):
        kept = play(subject.restarted(), posed, trials=30, batch=_BATCHES).texts
        anew = play(subject, posed, trials=30, batch=_BATCHES, restart=True).texts
        if kept != anew:
            place = next(n for n, (one, other) in enumerate(zip(kept, anew, strict=False)) if one != other)
            raise BrokenPromiseError(
                f"{Question(posed)}, asked for {_BATCHES} in turn: proposal {place} is {kept[place]} without "
                f"restarts and {anew[place]} with them"
            )


def experiments_do_not_mix(subject: Subject) -> None:
    """Requests of other Experiments in between, or of the same one with a changed space, change nothing."""
    asked = [
        Question(experiment(subject, parameters, uid=uid, seed=seed), past(parameters, 12), 2)
        for parameters, _ in taken_of(subject, SPACES.values())
        for uid in ("one", "two")
        for seed in (1, 2)
    ]
    alone = [subject.restarted().suggest(question) for question in asked]
    for order in (range(len(asked)), reversed(range(len(asked)))):
        for place in order:
            _must_equal(alone[place], subject.suggest(asked[place]), f"{asked[place]}, after others")


def changed_entries_are_seen(subject: Subject) -> None:
    """After a result comes in late, changes or vanishes, the reply is that of a process that saw it so."""
    parameters, posed = taken_of(subject, SPACES.values())[0]
    full = past(parameters, 16)
    waiting = past(parameters, 16, outcomes=((Outcome.ACTIVE, None),))
    histories = {
        "everything pending": waiting,
        "half of it finished": full[:8] + waiting[8:],
        "all finished": full,
        "other losses": past(parameters, 16, negate=True),
        "two entries gone": full[:3] + full[5:],
        "nothing": [],
        "failed": past(parameters, 16, outcomes=((Outcome.FAILED, None),)),
    }
    for what, lines in histories.items():
        question = Question(posed, lines, 2, total=16)
        _must_equal(subject.restarted().suggest(question), subject.suggest(question), f"{question}: {what}")


def maximising_equals_minimising_the_negation(subject: Subject) -> None:
    """Maximising f proposes what minimising -f proposes."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    down = experiment(subject, parameters, direction=ObjectiveType.MINIMIZE)
    up = experiment(subject, parameters, direction=ObjectiveType.MAXIMIZE)
    for length in (5, 25):
        question = Question(up, past(parameters, length, negate=True), 3)
        expected = subject.restarted().suggest(Question(down, past(parameters, length), 3))
        _must_equal(expected, subject.restarted().suggest(question), f"{question}, maximised")


def the_seed_counts(subject: Subject) -> None:
    """Two seeds give two searches, unless the algorithm has no chance in it at all."""
    parameters, _ = taken_of(subject, SPACES.values())[0]
    posed = [experiment(subject, parameters, seed=seed) for seed in range(6)]
    runs = [tuple(tuple(texts.items()) for texts in play(subject, each, trials=8).texts) for each in posed]
    different = len(set(runs))
    if different not in (1, len(runs)):
        raise BrokenPromiseError(f"six seeds gave {different} different runs, expected six, or one")


def _must_equal(expected: Reply, got: Reply, sent: str) -> None:
    if expected != got:
        raise BrokenPromiseError(f"{sent}: got {_brief(got)}, expected {_brief(expected)}")


def _brief(reply: Reply) -> str:
    texts = [dict(proposal.assignment) for proposal in reply.proposals]
    size = "" if reply.memory is None else f", {len(reply.memory)} bytes of memory"
    return f"{texts}, exhausted={reply.exhausted}{size}"
