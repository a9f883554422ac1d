"""How algorithms write arrays into their memory: never a pickle, and the same on every machine."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
import numpy.typing as npt

from katibpy.algo.space import Space

_LITTLE_ENDIAN = "<f8"


def pack(array: npt.NDArray[np.float64]) -> str:
    """Base64 of the numbers as little-endian doubles, row after row."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=_LITTLE_ENDIAN).tobytes()).decode()


def unpack(text: str) -> npt.NDArray[np.float64]:
    """The numbers that `pack` wrote, in one row.

    Raises:
        ValueError: the text is not what `pack` writes.
    """
    return np.frombuffer(base64.b64decode(text), dtype=_LITTLE_ENDIAN).astype(np.float64)


def mark_of(space: Space) -> str:
    """Equal for equal spaces, so that what was remembered of another one is told apart."""
    return hashlib.blake2b(repr(space.dimensions).encode(), digest_size=8).hexdigest()
