"""How Hyperband divides its budget: brackets of rungs (Li et al., 2018, algorithm 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from katibpy.algo.space import Value
from suggestion_services.resource import Resource, times_larger


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a bracket.

    Attributes:
        size: how many configurations run in it.
        amount: the resource that each gets.
    """

    size: int
    amount: Value


Bracket = tuple[Rung, ...]
"""Rungs, the largest first."""


@lru_cache(maxsize=64)
def hyperband_brackets(
    resource: Resource, *, smallest: float, largest: float, eta: float
) -> tuple[Bracket, ...]:
    """The brackets of one round, the most exploring first.

    With R the largest and r the smallest amount there are s_max + 1 brackets, s_max = floor(log_eta(R / r)).
    Bracket s = s_max ... 0 begins with n = ceil((s_max + 1) / (s + 1) * eta**s) configurations; its rung
    i = 0 ... s runs floor(n / eta**i) of them with the amount R / eta**(s - i). With R = 9, r = 1 and
    eta = 3: 9, 3, 1 trials with 1, 3, 9; 5, 1 with 3, 9; and 3 with 9.

    Each amount becomes the nearest that the parameter has. A rung that would thereby repeat the amount of the
    one before falls away: its trials would be run twice.
    """
    most, base = times_larger(smallest, largest, eta=eta), Fraction(eta)
    brackets = []
    for s in range(most, -1, -1):
        size = math.ceil(Fraction(most + 1, s + 1) * base**s)
        rungs: list[Rung] = []
        for i in range(s + 1):
            amount = resource.nearest(largest / eta ** (s - i))
            if not rungs or amount != rungs[-1].amount:
                rungs.append(Rung(math.floor(size / base**i), amount))
        brackets.append(tuple(rungs))
    return tuple(brackets)


def sizes_from(bracket: Bracket, started: int) -> list[int]:
    """How many run in each rung when only so many could be started: in proportion, and at least 1."""
    first = bracket[0].size
    return [max(min(rung.size, rung.size * started // first), 1) for rung in bracket]


def describe(brackets: tuple[Bracket, ...], resource: Resource) -> str:
    """The brackets in words."""
    texts = [
        " -> ".join(f"{rung.size} at {resource.dimension.format(rung.amount)}" for rung in bracket)
        for bracket in brackets
    ]
    return f"trials by {resource.name}: {'; '.join(texts)}"
