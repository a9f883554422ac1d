"""The algorithm suite finds what it looks for: for each promise, an algorithm that breaks it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import pytest

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.algo.settings import SettingRow
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.errors import BadReply, InvalidSettings
from katibpy.testing.algorithm_cases import OBJECTIVE
from katibpy.testing.algorithm_subject import CatalogSubject, Question, Subject
from katibpy.testing.algorithm_suite import CHECKS, Check, Result, Verdict, run_checks


class Broken:
    """An algorithm of the catalogue with one thing changed."""

    learns = False
    repeats = False
    base = "random"

    def __init__(self) -> None:
        self.inner = CatalogSubject(self.base)
        self.calls = 0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return self.inner.parameters

    @property
    def described(self) -> tuple[SettingRow, ...]:
        return self.inner.described

    def check(self, experiment: Experiment) -> None:
        self.inner.check(experiment)

    def suggest(self, question: Question) -> Reply:
        self.calls += 1
        return self.changed(question, self.inner.suggest(question))

    def changed(self, question: Question, reply: Reply) -> Reply:
        return reply

    def restarted(self) -> Subject:
        return type(self)()

    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        return self.inner.elsewhere(arguments, hash_seed=hash_seed)


def _rewritten(reply: Reply, rewrite: Callable[[dict[str, str]], dict[str, str]]) -> Reply:
    return dataclasses.replace(
        reply, proposals=tuple(Proposal(rewrite(dict(each.assignment))) for each in reply.proposals)
    )


class Outside(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        return _rewritten(reply, lambda texts: dict.fromkeys(texts, "1000000"))


class OwnSpelling(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        return _rewritten(
            reply,
            lambda texts: {name: text + ".0" if name == "depth" else text for name, text in texts.items()},
        )


class TooFew(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        return dataclasses.replace(reply, proposals=reply.proposals[1:])


class Monotonous(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        return dataclasses.replace(reply, proposals=reply.proposals[:1] * len(reply.proposals))


class BlindToPending(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        waiting = [each.assignment for each in question.lines if each.outcome.is_pending]
        return dataclasses.replace(reply, proposals=tuple(map(Proposal, waiting[:1]))) if waiting else reply


class Endless(Broken):
    def changed(self, question: Question, reply: Reply) -> Reply:
        return dataclasses.replace(reply, exhausted=False)


class Counting(Broken):
    def suggest(self, question: Question) -> Reply:
        self.calls += 1
        return self.inner.suggest(dataclasses.replace(question, total=question.made + self.calls))


class HashDependent(Broken):
    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        texts = super().elsewhere(arguments, hash_seed=hash_seed)
        return texts if hash_seed == 0 else texts[::-1]


class Mixing(Broken):
    """Answers every Experiment with the seed of the first."""

    first: Experiment | None = None

    def suggest(self, question: Question) -> Reply:
        seed = question.experiment.spec.seed
        self.first = self.first or question.experiment
        changed = question.experiment.spec.but(seed=self.first.spec.seed if seed is not None else None)
        return self.inner.suggest(
            dataclasses.replace(question, experiment=question.experiment.but(spec=changed))
        )


class Stale(Broken):
    """Takes a history of the same length for the same history."""

    base = "tpe"
    learns = True

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, Question] = {}

    def suggest(self, question: Question) -> Reply:
        return self.inner.suggest(self.known.setdefault(len(question.lines), question))


class BlindToDirection(Broken):
    base = "tpe"
    learns = True

    def suggest(self, question: Question) -> Reply:
        spec = question.experiment.spec
        assert spec.objective is not None
        minimised = spec.but(objective=spec.objective.but(type="minimize"))
        return self.inner.suggest(
            dataclasses.replace(question, experiment=question.experiment.but(spec=minimised))
        )


class FewSeeds(Broken):
    def suggest(self, question: Question) -> Reply:
        spec = question.experiment.spec
        halved = question.experiment.but(spec=spec.but(seed=(spec.seed or 0) // 2))
        return self.inner.suggest(dataclasses.replace(question, experiment=halved))


class Fragile(Broken):
    def suggest(self, question: Question) -> Reply:
        if any(math.isnan(float(each.metrics.get(OBJECTIVE, "0"))) for each in question.lines):
            raise ZeroDivisionError("a loss is not a number")
        return self.inner.suggest(question)


class Strict(Broken):
    def suggest(self, question: Question) -> Reply:
        names = {each.name for each in question.experiment.spec.parameters}
        if any(set(each.assignment) != names for each in question.lines):
            raise BadReply("an entry has other parameters")
        return self.inner.suggest(question)


class Lenient(Broken):
    def check(self, experiment: Experiment) -> None:
        pass


class OneAtATime(Broken):
    def check(self, experiment: Experiment) -> None:
        try:
            self.inner.check(experiment)
        except InvalidSettings as refusal:
            raise InvalidSettings(refusal.problems[:1]) from refusal


class AgainstItsDefaults(Broken):
    def check(self, experiment: Experiment) -> None:
        self.inner.check(experiment)
        if experiment.spec.algorithm and experiment.spec.algorithm.algorithm_settings:
            raise InvalidSettings(["no_such_setting, nor_this, random_state: I take no settings"])


class Pretentious(Broken):
    learns = True


class SecretlyLearning(Broken):
    base = "tpe"


CASES: Sequence[tuple[type[Broken], str]] = (
    (Outside, "proposes-inside-the-space"),
    (OwnSpelling, "writes-values-as-the-space-does"),
    (TooFew, "gives-what-is-asked-for"),
    (Monotonous, "batches-hold-no-repeats"),
    (BlindToPending, "pending-trials-are-not-proposed-again"),
    (Endless, "goes-through-a-finite-space-once"),
    (Monotonous, "goes-through-a-finite-space-once"),
    (Counting, "same-request-same-reply"),
    (HashDependent, "same-reply-in-another-process"),
    (Counting, "restarts-change-nothing"),
    (Mixing, "experiments-do-not-mix"),
    (Stale, "changed-entries-are-seen"),
    (BlindToDirection, "maximising-equals-minimising-the-negation"),
    (FewSeeds, "the-seed-counts"),
    (Fragile, "odd-results-do-no-harm"),
    (Strict, "entries-of-another-space-do-no-harm"),
    (Lenient, "names-each-bad-setting"),
    (OneAtATime, "reports-all-bad-settings-at-once"),
    (AgainstItsDefaults, "accepts-its-defaults"),
    (Pretentious, "finds-better-than-random-search"),
    (SecretlyLearning, "losses-change-nothing-unless-it-learns"),
)


def _named(name: str) -> Check:
    return next(check for check in CHECKS if check.name == name)


def _result(subject: Subject, name: str) -> Result:
    return next(run_checks(subject, [_named(name)]))


@pytest.mark.parametrize(("broken", "name"), CASES, ids=lambda each: getattr(each, "__name__", each))
def test_a_broken_promise_is_found_and_told(broken: type[Broken], name: str) -> None:
    result = _result(broken(), name)
    assert result.verdict is Verdict.BROKEN
    assert len(result.detail) > 20


def test_every_check_has_an_algorithm_that_breaks_it() -> None:
    assert {name for _, name in CASES} == {check.name for check in CHECKS}


def test_a_check_that_says_nothing_about_the_algorithm_gives_its_reason() -> None:
    result = _result(CatalogSubject("random"), "finds-better-than-random-search")
    assert (result.verdict, result.detail) == (Verdict.NOT_APPLICABLE, "it does not learn")


def test_an_unchanged_algorithm_keeps_its_promise() -> None:
    assert _result(Broken(), "odd-results-do-no-harm") == Result(
        _named("odd-results-do-no-harm"), Verdict.KEPT
    )


def test_every_promise_is_a_sentence() -> None:
    assert all(check.promise[0].isupper() and check.promise.endswith(".") for check in CHECKS)


def test_a_reply_to_pending_lines_is_told_with_the_request() -> None:
    detail = _result(BlindToPending(), "pending-trials-are-not-proposed-again").detail
    assert "20 entries" in detail
    assert "the last 10 pending" in detail
