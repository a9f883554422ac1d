"""Random numbers that depend on nothing but a seed and an index."""

from __future__ import annotations

import hashlib

import numpy as np

_KEY_BITS = 128
_INDEX_WORD = 64


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
    # The low word counts the blocks of one stream, so each has 2**64 blocks before it would meet the next.
    counter = (index % (1 << _KEY_BITS)) << _INDEX_WORD
    return np.random.Generator(np.random.Philox(key=seed % (1 << _KEY_BITS), counter=counter))


def seed_of(text: str) -> int:
    """A 63-bit seed from a text, the same in any process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
