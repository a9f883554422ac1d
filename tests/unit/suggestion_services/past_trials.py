"""Problems and runs for tests of single algorithms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from katibpy.algo.algorithm import Algorithm, Reply
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask
from katibpy.algo.space import Value, space_of
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.testing.algorithm_cases import parameter

Loss = Callable[[Mapping[str, Value]], float]


def unit_square(names: Sequence[str] = ("x", "y")) -> tuple[ParameterSpec, ...]:
    """Doubles from 0 to 1."""
    return tuple(parameter(name, ParameterType.DOUBLE, min="0", max="1") for name in names)


def problem(
    specs: Sequence[ParameterSpec],
    settings: Mapping[str, str] | None = None,
    *,
    seed: int = 3,
    uid: str = "u",
) -> Problem:
    """A problem over these parameters."""
    return Problem(
        name="e",
        uid=uid,
        space=space_of(specs),
        settings=settings or {},
        seed=seed,
        parallel_trial_count=1,
        max_trial_count=None,
        metric_names=("loss",),
    )


@dataclass
class Trials:
    """A run, one request after another.

    Attributes:
        problem: what is searched.
        entries: all trials so far.
        memory: what the last reply gave.
    """

    problem: Problem
    entries: list[Entry] = field(default_factory=list)
    memory: bytes | None = None

    def ask(self, algorithm: Algorithm, count: int = 1) -> Reply:
        """Asks without taking the reply over."""
        history = History(tuple(self.entries), len(self.entries))
        return ask(algorithm, self.problem, history, count=count, memory=self.memory)

    def propose(self, algorithm: Algorithm, count: int = 1) -> list[int]:
        """Asks; the proposals become active trials, whose places are given."""
        reply = self.ask(algorithm, count)
        self.memory = self.memory if reply.memory is None else reply.memory
        first = len(self.entries)
        for place, proposal in enumerate(reply.proposals, start=first):
            self.entries.append(
                Entry(
                    f"t{place}",
                    self.problem.space.parse_assignment(proposal.assignment),
                    Outcome.ACTIVE,
                    labels=proposal.labels,
                    number=place,
                    raw=proposal.assignment,
                    start_time=float(place),
                )
            )
        return list(range(first, len(self.entries)))

    def end(
        self,
        place: int,
        loss: Loss | float | None,
        outcome: Outcome = Outcome.SUCCEEDED,
        *,
        seconds: float = 1.0,
    ) -> None:
        """A trial ends, with this loss."""
        entry = self.entries[place]
        value = loss(entry.assignment) if callable(loss) else loss
        started = entry.start_time or 0.0
        self.entries[place] = dataclasses.replace(
            entry, outcome=outcome, loss=value, completion_time=started + seconds
        )

    def run(self, algorithm: Algorithm, loss: Loss, trials: int, *, batch: int = 1) -> float:
        """Makes that many trials more, each batch ended before the next; gives the best loss so far."""
        for _ in range(0, trials, batch):
            for place in self.propose(algorithm, batch):
                self.end(place, loss)
        return min(entry.loss for entry in self.entries if entry.loss is not None)
