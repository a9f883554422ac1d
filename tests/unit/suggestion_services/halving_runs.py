"""Runs of successive halving whose trials end in any order, for tests of single algorithms."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.testing.algorithm_cases import parameter
from suggestion_services.rung_places import place_of
from tests.unit.suggestion_services import past_trials

RATE = parameter("rate", ParameterType.DOUBLE, min="0", max="1")
NINE_EPOCHS = parameter("epochs", ParameterType.INT, min="1", max="9")
Fate = Callable[[Entry], tuple[Outcome, float | None]]
"""What becomes of a trial."""


def problem(*specs: ParameterSpec, limit: int | None = None, **settings: object) -> Problem:
    """A problem with the resource `epochs`, unless the settings say otherwise."""
    written = {"resource_name": "epochs"} | {name: str(value) for name, value in settings.items()}
    posed = past_trials.problem(specs or (RATE, NINE_EPOCHS), written)
    return dataclasses.replace(posed, max_trial_count=limit)


def rate_is_the_loss(entry: Entry) -> tuple[Outcome, float | None]:
    """Succeeds with the rate as its loss, whatever the resource."""
    return Outcome.SUCCEEDED, float(entry.assignment["rate"])


def every_fifth_fails(entry: Entry) -> tuple[Outcome, float | None]:
    """Fails in one way or another where the fifth digit of the rate says so, else as `rate_is_the_loss`."""
    ways = ((Outcome.FAILED, None), (Outcome.SUCCEEDED, math.nan))
    digit = int(float(entry.assignment["rate"]) * 1e5) % 10
    return ways[digit] if digit < len(ways) else rate_is_the_loss(entry)


@dataclass
class Played:
    """A run.

    Attributes:
        problem: what is searched.
        parallel: how many trials run at once.
        fate: what becomes of trials.
        order: chooses which trial ends next.
        entries: all trials, in creation order.
        proposals: what was proposed, in the same order.
        is_exhausted: what the last reply said.
    """

    problem: Problem
    parallel: int = 4
    fate: Fate = rate_is_the_loss
    order: int = 0
    entries: list[Entry] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    is_exhausted: bool = False

    def request(self, algorithm: Algorithm, count: int) -> Sequence[Proposal]:
        """Asks once; the proposals become active trials."""
        history = History(tuple(self.entries), len(self.proposals))
        reply = ask(algorithm, self.problem, history, count=count)
        assert reply.memory is None
        self.is_exhausted = reply.exhausted
        for proposal in reply.proposals:
            number = len(self.proposals)
            self.proposals.append(proposal)
            self.entries.append(
                Entry(
                    f"trial-{number}",
                    self.problem.space.parse_assignment(proposal.assignment),
                    Outcome.ACTIVE,
                    labels=proposal.labels,
                    number=number,
                    raw=proposal.assignment,
                )
            )
        return reply.proposals

    def end(self, place: int) -> None:
        """A trial ends as its fate has it."""
        outcome, loss = self.fate(self.entries[place])
        self.entries[place] = dataclasses.replace(self.entries[place], outcome=outcome, loss=loss)

    def end_all(self) -> None:
        """All active trials end."""
        for place in self.active:
            self.end(place)

    @property
    def active(self) -> list[int]:
        """Places of the trials that run."""
        return [place for place, entry in enumerate(self.entries) if entry.outcome is Outcome.ACTIVE]

    def run(self, new: Callable[[], Algorithm], *, limit: int | None = None) -> Played:
        """Runs to the end, a new instance for each request; a run that does not go on is an error."""
        check(new(), self.problem)
        most = limit if limit is not None else self.problem.max_trial_count
        rng = np.random.default_rng(self.order)
        while True:
            left = math.inf if most is None else most - len(self.entries)
            count = int(min(self.parallel - len(self.active), left))
            if count > 0 and not self.is_exhausted:
                proposals = self.request(new(), count)
                assert proposals or self.active or self.is_exhausted, "it neither proposes nor waits"
            active = self.active
            if not active:
                return self
            self.end(active[int(rng.integers(len(active)))])

    def rungs(self) -> dict[tuple[int, int], list[Entry]]:
        """Trials by bracket and rung."""
        found: dict[tuple[int, int], list[Entry]] = {}
        for entry in self.entries:
            place = place_of(entry)
            assert place is not None
            found.setdefault((place.bracket, place.rung), []).append(entry)
        return dict(sorted(found.items()))

    def counts(self) -> dict[int, list[tuple[int, object]]]:
        """For each bracket its rungs, each as the number of trials and the resource that each got."""
        found: dict[int, list[tuple[int, object]]] = {}
        for (bracket, _), entries in self.rungs().items():
            amounts = Counter(entry.assignment[self.problem.settings["resource_name"]] for entry in entries)
            assert len(amounts) == 1, amounts
            found.setdefault(bracket, []).append((len(entries), next(iter(amounts))))
        return found

    def must_promote_once_each(self) -> None:
        """Each trial above a first rung alone goes on from one that ended well in the rung below."""
        by_name = {entry.name: entry for entry in self.entries}
        taken: set[str] = set()
        for entry in self.entries:
            place = place_of(entry)
            assert place is not None
            parent = by_name.get(entry.labels.get(CHECKPOINT_FROM_LABEL, ""))
            assert (parent is None) == (place.rung == 0)
            if parent is None:
                continue
            assert parent.name not in taken
            taken.add(parent.name)
            below = place_of(parent)
            assert below == dataclasses.replace(place, rung=place.rung - 1)
            assert parent.outcome in (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED)
            assert parent.loss is not None
            assert math.isfinite(parent.loss)
            resource = self.problem.settings["resource_name"]
            assert without(entry.assignment, resource) == without(parent.assignment, resource)
            assert float(entry.assignment[resource]) > float(parent.assignment[resource])


def without(assignment: Mapping[str, object], name: str) -> dict[str, object]:
    """All but one of the parameters."""
    return {each: value for each, value in assignment.items() if each != name}
