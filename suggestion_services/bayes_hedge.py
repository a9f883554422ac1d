"""GP-Hedge: a portfolio of acquisition functions (Hoffman, Brochu and de Freitas, 2011)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from katibpy.algo.space import Space
from suggestion_services.memory_arrays import mark_of, pack, unpack

Array = npt.NDArray[np.float64]

PORTFOLIO = ("EI", "LCB", "PI")
_VERSION = 1


class _Predicts(Protocol):
    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at some points."""
        ...


@dataclass(frozen=True, slots=True)
class Hedge:
    """What each function of the portfolio has earned: the less the model expects where it pointed, the more.

    Attributes:
        gains: one for each function, in standard deviations of the losses.
        nominees: where each function pointed last, one row each; empty before the first time.
        results: how many results there were then.
    """

    gains: Array = field(default_factory=lambda: np.zeros(len(PORTFOLIO)))
    nominees: Array = field(default_factory=lambda: np.zeros((0, 0)))
    results: int = 0

    def rewarded(self, model: _Predicts, *, results: int) -> Hedge:
        """After the model has learned from more results, which reward or punish the last nominees."""
        if results <= self.results or not len(self.nominees):
            return self
        return Hedge(self.gains - model.predict(self.nominees)[0], self.nominees, results)

    def chances(self) -> Array:
        """Probability with which each function is followed."""
        weights: Array = np.exp(self.gains - self.gains.max())
        chances: Array = weights / weights.sum()
        return chances

    def to_bytes(self, space: Space) -> bytes:
        """As text in bytes."""
        written = {
            "version": _VERSION,
            "space": mark_of(space),
            "gains": pack(self.gains),
            "nominees": pack(self.nominees),
            "results": self.results,
        }
        return json.dumps(written, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, memory: bytes | None, space: Space, *, width: int) -> Hedge:
        """What `to_bytes` wrote; a fresh start when it is of another space or version, or cannot be read."""
        try:
            read: Mapping[str, Any] = json.loads(memory or b"{}")
            if (read["version"], read["space"]) != (_VERSION, mark_of(space)):
                return cls()
            gains = unpack(read["gains"])
            nominees = unpack(read["nominees"]).reshape(len(PORTFOLIO), width)
            if gains.shape != (len(PORTFOLIO),) or not np.isfinite(gains).all():
                return cls()
            return cls(gains, nominees, int(read["results"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()
