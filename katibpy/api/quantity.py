"""Kubernetes quantities: `500m` of a cpu, `1.5Gi` of memory, `2` GPUs.

The syntax is that of `resource.Quantity`: a decimal number and one suffix, which is a power of 1000 (`n u m k
M G T P E`), a power of 1024 (`Ki Mi Gi Ti Pi Ei`) or an exponent (`e3`, `E3`). Values are exact.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_SYNTAX = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?[0-9]{1,2}))?"
)
_LONGEST = 64
_SCALES = {
    "": Fraction(1),
    "n": Fraction(1, 1000**3),
    "u": Fraction(1, 1000**2),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000) ** (power + 1) for power, suffix in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024) ** (power + 1) for power, letter in enumerate("KMGTPE")},
}
_BYTE_UNITS = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")


def parse_quantity(value: Any) -> Fraction:
    """The number that a quantity stands for.

    Args:
        value: what a YAML has for it: a text, or a number without a suffix.

    Raises:
        ValueError: it is no quantity, or below zero; the message reads on after "must".
    """
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    # The length is cut first, since exact arithmetic on a million digits takes for ever.
    match = _SYNTAX.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"must be a quantity as Kubernetes has them (500m, 2, 1.5Gi), got {value!r}")
    number = Fraction(match["number"])
    if number < 0:
        raise ValueError(f"must not be below zero, got {value!r}")
    return number * _SCALES[match["suffix"] or ""] * Fraction(10) ** int(match["power"] or 0)


def milli(quantity: Fraction) -> int:
    """The quantity in thousandths, rounded up as Kubernetes does."""
    return ceiling(quantity * 1000)


def ceiling(quantity: Fraction) -> int:
    """The quantity as a whole number, rounded up as Kubernetes does."""
    return -(-quantity.numerator // quantity.denominator)


def format_milli(amount: int) -> str:
    """Thousandths as people read them: `1500` is `1.5`."""
    return f"{amount // 1000}" if amount % 1000 == 0 else f"{amount / 1000:.3f}".rstrip("0")


def format_bytes(amount: int) -> str:
    """Bytes as people read them, to three digits: `1610612736` is `1.5Gi`."""
    for power, unit in zip(range(len(_BYTE_UNITS), 0, -1), _BYTE_UNITS, strict=True):
        size = amount / 1024**power
        if size >= 1:
            return f"{size:.3g}{unit}" if size < 999.5 else f"{size:.0f}{unit}"
    return f"{amount}"
