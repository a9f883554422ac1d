"""How Hyperband divides its budget: brackets of rungs (Li et al., 2018, algorithm 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from katibpy.algo.space import Value
from suggestion_services.rung_resource import Resource, times_larger


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

    Sizes and amounts are those that `Hyperband` tells its users. All arithmetic of sizes is exact: a rounding
    error in a power of eta would add or drop a configuration.
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


def describe(brackets: tuple[Bracket, ...], resource: Resource, *, limit: int | None) -> str:
    """The brackets in words, and a warning where so few trials are allowed that none will be promoted."""
    texts = [
        " -> ".join(f"{rung.size} at {resource.dimension.format(rung.amount)}" for rung in bracket)
        for bracket in brackets
    ]
    plan = f"trials by {resource.name}: {'; '.join(texts)}"
    if limit is None or len(brackets[0]) < 2 or brackets[0][0].size < limit:
        return plan
    return (
        f"{plan}. None will be promoted: maxTrialCount ({limit}) ends the first rung; raise it, r_min or eta"
    )
