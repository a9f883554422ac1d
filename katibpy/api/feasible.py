"""Whether a text is a value of a parameter, as far as every algorithm must keep to it.

Algorithms of others are held to bounds, kinds and lists, not to steps, which many algorithms for Katib take
as a hint. What is meant is written as katibpy's own algorithms write it: equal values have equal texts, and a
training may read `3` and not `3.0`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from katibpy.api.experiment import FeasibleSpace, ParameterSpec, ParameterType

_LONGEST = 400
"""No number that a parameter may have needs more characters, and exact arithmetic on very many takes long."""


def feasible_text(parameter: ParameterSpec, text: str) -> str:
    """The value that `text` means, spelt for a Trial.

    Args:
        parameter: of an admitted Experiment.
        text: what an algorithm proposes.

    Raises:
        ValueError: it is no value of the parameter; the message reads on after its name.
    """
    space = parameter.feasible_space
    match parameter.parameter_type:
        case ParameterType.CATEGORICAL.value:
            if text not in (space.list or ()):
                raise ValueError(f"must be one of {_listed(space)}, got {text!r}")
            return text
        case ParameterType.DISCRETE.value:
            number = _number(text)
            for each in space.list or ():
                if each == text or (number is not None and number == _number(each)):
                    return each
            raise ValueError(f"must be one of {_listed(space)}, got {text!r}")
        case ParameterType.INT.value:
            number = _inside(space, text)
            if number != number.to_integral_value():
                raise ValueError(f"must be a whole number, got {text!r}")
            return str(int(number))
        case ParameterType.DOUBLE.value:
            return repr(float(_inside(space, text)))
    return text


def combinations(parameters: Iterable[ParameterSpec]) -> float:
    """How many different assignments there are, infinity when there are endlessly many."""
    return math.prod(_count(parameter) for parameter in parameters)


def _count(parameter: ParameterSpec) -> float:
    space = parameter.feasible_space
    if parameter.parameter_type in (ParameterType.CATEGORICAL.value, ParameterType.DISCRETE.value):
        return len(set(space.list or ()))
    low, high, step = _number(space.min or ""), _number(space.max or ""), _number(space.step or "")
    if step is None and parameter.parameter_type == ParameterType.INT.value:
        step = Decimal(1)
    if low is None or high is None or not step:
        return math.inf
    return int((high - low) / step) + 1


def _inside(space: FeasibleSpace, text: str) -> Decimal:
    number, low, high = _number(text), _number(space.min or ""), _number(space.max or "")
    if number is None:
        raise ValueError(f"must be a finite number, got {text!r}")
    # Compared as doubles, as the training will read them: 0.1 must not be below a bound of 0.1.
    below = low is not None and float(number) < float(low)
    if below or (high is not None and float(number) > float(high)):
        raise ValueError(f"must be from {space.min} to {space.max}, got {text!r}")
    return number


def _number(text: str) -> Decimal | None:
    if len(text) > _LONGEST:
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or (number and abs(number.adjusted()) > _LONGEST):
        return None
    return number


def _listed(space: FeasibleSpace) -> str:
    texts = list(space.list or ())
    shown = ", ".join(map(repr, texts[:8]))
    return f"{shown} and {len(texts) - 8} more" if len(texts) > 8 else shown
