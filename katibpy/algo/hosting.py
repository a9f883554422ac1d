"""One Experiment in the care of a process that answers for its algorithm."""

from __future__ import annotations

from functools import lru_cache

from katibpy.algo.algorithm import Algorithm, Reply
from katibpy.algo.merged_history import MergedHistory
from katibpy.algo.posing import problem_of
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.api.experiment import Experiment
from katibpy.catalog import ALGORITHMS, load
from katibpy.errors import InvalidSettings, MissingExtra, UnknownName, Unsupported


class HostedExperiment:
    """An algorithm, the problem it works on and its merged history.

    Everything here follows from what callers send, so it may be dropped at any time. Not thread-safe:
    one caller at a time.

    Attributes:
        algorithm: whom to ask.
        problem: checked; the algorithm accepts it.
        reads: which part of the history it needs.
        history: what has been merged so far.
    """

    def __init__(self, algorithm: Algorithm, experiment: Experiment) -> None:
        """Checks the Experiment.

        Raises:
            InvalidSettings: the algorithm refuses its settings or the space.
        """
        self.algorithm = algorithm
        self.problem = _checked(algorithm, experiment)
        self.reads = algorithm.reads(self.problem)
        self.history = MergedHistory(self.problem)

    def adopt(self, experiment: Experiment) -> None:
        """Goes on with a changed Experiment: limits and settings may have moved, the history stays if it can.

        Raises:
            InvalidSettings: the algorithm refuses its settings or the space; then nothing has changed.
        """
        problem = _checked(self.algorithm, experiment)
        if not self.history.suits(problem):
            self.history = MergedHistory(problem)
        self.problem = problem
        self.reads = self.algorithm.reads(problem)

    def ask(self, *, count: int, total: int, memory: bytes | None) -> Reply:
        """Asks for up to `count` proposals.

        Args:
            count: how many are wanted now.
            total: how many there will be in all after this reply.
            memory: what the last saved reply gave.

        Raises:
            BadReply: the algorithm broke its contract.
        """
        history = self.history.history(self.reads, total=max(total - count, 0))
        return ask(self.algorithm, self.problem, history, count=count, memory=memory)


@lru_cache(maxsize=256)
def algorithm_named(name: str) -> Algorithm:
    """The algorithm that the catalogue has under that name; always the same instance.

    Raises:
        InvalidSettings: there is none, or what it needs is not installed.
    """
    try:
        algorithm: Algorithm = load(ALGORITHMS, name)()
    except (UnknownName, Unsupported, MissingExtra) as error:
        raise InvalidSettings([str(error)]) from error
    return algorithm


def _checked(algorithm: Algorithm, experiment: Experiment) -> Problem:
    problem = problem_of(experiment)
    check(algorithm, problem)
    return problem
