"""How the values of a numeric parameter are spread over its range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from katibpy.api.experiment import Distribution

_STANDARD_NORMAL = NormalDist()
_SIGMAS_ACROSS = 6.0
_LARGEST_BELOW_ONE = math.nextafter(1.0, 0.0)


def below_one(unit: float) -> float:
    """Moves a unit coordinate into [0, 1)."""
    return min(max(unit, 0.0), _LARGEST_BELOW_ONE)


@dataclass(frozen=True, slots=True)
class Law:
    """A distribution over the range from `low` to `high`, before any truncation.

    Uniform is flat in x, log-uniform flat in log x. Normal has its mean in the middle of the range and a
    standard deviation of a sixth of it, log-normal the same in log x; so their law reaches beyond the
    range, and a caller truncates it by the unit coordinates of the ends that it wants.

    Attributes:
        low: lower end of the range; above 0 for the two laws in log x.
        high: upper end of the range, above `low`.
        distribution: which of the four.
    """

    low: float
    high: float
    distribution: Distribution = Distribution.UNIFORM

    @property
    def is_logarithmic(self) -> bool:
        """Whether distances are ratios."""
        return self.distribution in (Distribution.LOG_UNIFORM, Distribution.LOG_NORMAL)

    @property
    def is_bell(self) -> bool:
        """Whether the middle is likelier than the ends."""
        return self.distribution in (Distribution.NORMAL, Distribution.LOG_NORMAL)

    def cumulative(self, value: float) -> float:
        """Probability mass below `value`; the flat laws run on below 0 and above 1 outside the range."""
        position = self._position(value)
        if not self.is_bell:
            return position
        return _STANDARD_NORMAL.cdf(_SIGMAS_ACROSS * (position - 0.5))

    def quantile(self, mass: float) -> float:
        """Inverse of `cumulative`."""
        if not self.is_bell:
            return self._value(mass)
        # inv_cdf is undefined at 0 and 1, which only rounding can produce: the ends are 3 sigmas out.
        inside = min(max(mass, 1e-300), _LARGEST_BELOW_ONE)
        return self._value(0.5 + _STANDARD_NORMAL.inv_cdf(inside) / _SIGMAS_ACROSS)

    def truncated_cumulative(self, value: float, lower: float, upper: float) -> float:
        """Unit coordinate of `value` when the law is cut to [`lower`, `upper`]."""
        first, last = self.cumulative(lower), self.cumulative(upper)
        return (self.cumulative(value) - first) / (last - first)

    def truncated_quantile(self, unit: float, lower: float, upper: float) -> float:
        """Value at unit coordinate `unit` when the law is cut to [`lower`, `upper`]."""
        first, last = self.cumulative(lower), self.cumulative(upper)
        return min(max(self.quantile(first + unit * (last - first)), lower), upper)

    def _position(self, value: float) -> float:
        if self.is_logarithmic:
            start = math.log(self.low)
            return (math.log(value) - start) / (math.log(self.high) - start)
        # Halves keep the difference finite when the range spans more than the largest double.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def _value(self, position: float) -> float:
        if self.is_logarithmic:
            start = math.log(self.low)
            return math.exp(start + position * (math.log(self.high) - start))
        return self.low * (1.0 - position) + self.high * position
