"""Random numbers that depend on nothing but a seed and an index."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence

_KEY_BITS = 128
_INDEX_WORD = 64
_WORD = (1 << _INDEX_WORD) - 1


class _Origin(ISpawnableSeedSequence):
    """Where a stream comes from, for NumPy.

    Given none, NumPy asks the system for entropy, only to have it replaced by key and counter: that takes
    longer than anything else here, and whatever is spawned from such a stream differs from run to run.
    """

    def __init__(self, seed: int, index: int) -> None:
        self._seed = seed
        self._index = index
        self._spawning: np.random.SeedSequence | None = None

    def generate_state(
        self, n_words: int, dtype: object = np.uint32
    ) -> np.ndarray[tuple[int], np.dtype[Any]]:
        return np.zeros(n_words, dtype=cast("Any", dtype))

    def spawn(self, n_children: int) -> list[Any]:
        if self._spawning is None:
            self._spawning = np.random.SeedSequence((self._seed, self._index))
        return self._spawning.spawn(n_children)


_UNUSED = {
    "bit_generator": "Philox",
    "buffer": np.zeros(4, dtype=np.uint64),
    "buffer_pos": 4,
    "has_uint32": 0,
    "uinteger": 0,
}
"""State of a stream that nothing was drawn from, but for key and counter."""


def generator(seed: int, index: int) -> np.random.Generator:
    """Stream number `index` of the family `seed`.

    Streams are counter-based (Philox 4x64): stream `index` is reached at once, two of them never overlap, and
    all are the same in any process.

    Args:
        seed: non-negative; taken modulo 2**128.
        index: non-negative; taken modulo 2**128.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must not be negative, got {seed} and {index}")
    seed, index = seed % (1 << _KEY_BITS), index % (1 << _KEY_BITS)
    stream = np.random.Philox(cast("Any", _Origin(seed, index)))
    # The low word counts the blocks of one stream, so each has 2**64 blocks before it would meet the next.
    counter = np.array([0, index & _WORD, index >> _INDEX_WORD, 0], dtype=np.uint64)
    key = np.array([seed & _WORD, seed >> _INDEX_WORD], dtype=np.uint64)
    stream.state = cast("Any", {**_UNUSED, "state": {"counter": counter, "key": key}})
    return np.random.Generator(stream)


def seed_of(text: str) -> int:
    """A 63-bit seed from a text, the same in any process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
