"""A subject of the algorithm suite whose last exchange is kept for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from katibpy.algo.algorithm import Reply
from katibpy.algo.settings import SettingRow
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.testing.algorithm_subject import Question, Subject

_SHOWN_PROPOSALS = 10


@dataclass
class ExchangeLog:
    """The last exchange, in words.

    Attributes:
        sent: what was asked.
        got: what came back.
    """

    sent: str = ""
    got: str = ""


@dataclass(frozen=True)
class RecordedSubject:
    """Asks another subject and notes it."""

    subject: Subject
    log: ExchangeLog

    @property
    def name(self) -> str:
        """Of the other."""
        return self.subject.name

    @property
    def settings(self) -> Mapping[str, str]:
        """Of the other."""
        return self.subject.settings

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """Of the other."""
        return self.subject.parameters

    @property
    def described(self) -> tuple[SettingRow, ...]:
        """Of the other."""
        return self.subject.described

    @property
    def learns(self) -> bool:
        """Of the other."""
        return self.subject.learns

    @property
    def repeats(self) -> bool:
        """Of the other."""
        return self.subject.repeats

    def check(self, experiment: Experiment) -> None:
        """Asks the other."""
        self.log.sent, self.log.got = f"validate: {Question(experiment)}", ""
        try:
            self.subject.check(experiment)
        except Exception as error:
            self.log.got = _raised(error)
            raise
        self.log.got = "accepted"

    def suggest(self, question: Question) -> Reply:
        """Asks the other."""
        self.log.sent, self.log.got = f"suggest: {question}", ""
        try:
            reply = self.subject.suggest(question)
        except Exception as error:
            self.log.got = _raised(error)
            raise
        self.log.got = _shown(reply)
        return reply

    def restarted(self) -> RecordedSubject:
        """The other restarted, noted in the same place."""
        return RecordedSubject(self.subject.restarted(), self.log)

    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        """Asks the other."""
        return self.subject.elsewhere(arguments, hash_seed=hash_seed)


def _raised(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _shown(reply: Reply) -> str:
    texts = [
        " ".join(f"{name}={text}" for name, text in proposal.assignment.items())
        for proposal in reply.proposals[:_SHOWN_PROPOSALS]
    ]
    more = f" | and {len(reply.proposals) - len(texts)} more" if len(reply.proposals) > len(texts) else ""
    size = "" if reply.memory is None else f", {len(reply.memory)} bytes of memory"
    over = ", exhausted" if reply.exhausted else ""
    return f"{' | '.join(texts) or 'no proposals'}{more}{over}{size}"
