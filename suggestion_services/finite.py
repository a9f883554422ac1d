"""Going through a finite space once, in random order, without remembering where one has been."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from katibpy.algo.history import History
from katibpy.algo.randomness import generator
from katibpy.algo.space import Space, Value

SMALL = 1 << 16
"""Spaces of up to so many assignments may be listed whole."""
_ROUNDS = 8
_NEIGHBOURS = 50


@lru_cache(maxsize=32)
def drawn_order(space: Space, seed: int) -> npt.NDArray[np.uint32]:
    """Numbers of all assignments of a small space, in the order of draws without replacement.

    An exponential race: assignment k arrives at a time that is exponential with its mass as rate, and the
    order of arrival is that of successive draws in proportion to mass (Efraimidis and Spirakis, 2006).
    """
    mass = np.ones(1)
    for dimension in space:
        mass = np.outer(mass, dimension.masses()).ravel()
    arrival = generator(seed, 0).standard_exponential(len(mass)) / np.maximum(mass, np.finfo(float).tiny)
    return np.argsort(arrival, kind="stable").astype(np.uint32)


def permuted(index: int, size: int, seed: int) -> int:
    """Image of `index` under a pseudo-random permutation of the numbers below `size`.

    A balanced Feistel network over the next even number of bits, applied again until the image is below
    `size` (cycle walking; Black and Rogaway, 2002): constant time and memory for any size.
    """
    half = max((size - 1).bit_length() + 1, 2) // 2
    mask = (1 << half) - 1
    width = (half + 7) // 8
    key = (seed % (1 << 128)).to_bytes(16, "big")
    while True:
        left, right = index >> half, index & mask
        for round_number in range(_ROUNDS):
            message = bytes((round_number,)) + right.to_bytes(width, "big")
            digest = hashlib.shake_128(key + message).digest(width)
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        index = (left << half) | right
        if index < size:
            return index


def walk(space: Space, *, seed: int, start: int) -> Iterator[dict[str, Value]]:
    """All assignments of a finite space, each once, in a random order that begins at place `start`."""
    size = space.cardinality or 0
    return (space.at(permuted((start + step) % size, size, seed)) for step in range(size))


def nearby(
    space: Space, assignment: dict[str, Value], rng: np.random.Generator
) -> Iterator[dict[str, Value]]:
    """Some assignments that differ from the given one in one dimension, drawn from its distribution."""
    for _ in range(_NEIGHBOURS):
        dimension = space.dimensions[int(rng.integers(len(space)))]
        yield {**assignment, dimension.name: dimension.from_unit(float(rng.random()))}


def seen_keys(space: Space, history: History) -> set[tuple[Value, ...]]:
    """Keys of all complete assignments that were ever proposed."""
    if len(space) > 1:
        # Three times as fast, which counts with ten thousand entries; one incomplete entry is enough to fail.
        with suppress(KeyError):
            return set(map(itemgetter(*space.names), (entry.assignment for entry in history)))
    keys = {space.key(entry.assignment) for entry in history}
    return {key for key in keys if key is not None}


def is_new(space: Space, history: History, assignment: Mapping[str, Value]) -> bool:
    """Whether a complete assignment was never proposed."""
    alike = [entry.assignment for entry in history]
    for name in space.names:
        value = assignment[name]
        alike = [known for known in alike if known.get(name) == value]
        if not alike:
            return True
    return False
