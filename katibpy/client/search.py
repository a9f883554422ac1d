"""Search dimensions for `KatibClient.tune`, spelled as in Katib's SDK, with what it lacks added.

The names `int` and `double` are Katib's; import the module, not its functions: `from katibpy import search`.
"""

from __future__ import annotations

import builtins
import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

from pydantic import PrivateAttr

from katibpy.api.experiment import Distribution, FeasibleSpace, ParameterSpec, ParameterType
from katibpy.errors import InputError

Real: TypeAlias = SupportsFloat | SupportsIndex
"""A number: of Python, NumPy or anything else that `float` takes."""


class ListedSpec(ParameterSpec):
    """A parameter that is one of several values, which it keeps beside their texts."""

    _values: tuple[Any, ...] = PrivateAttr(())

    @property
    def values_by_text(self) -> dict[str, Any]:
        """Each value by the text that stands for it in an Experiment."""
        return dict(zip(self.feasible_space.list or (), self._values, strict=True))


def double(
    min: Real, max: Real, step: Real | None = None, *, distribution: str | None = None
) -> ParameterSpec:
    """A floating-point parameter.

    Args:
        min: lower bound, included.
        max: upper bound, included.
        step: distance of allowed values, from `min` on; any value when not given.
        distribution: `uniform` (the default), `logUniform`, `normal` or `logNormal`.

    Raises:
        InputError: an argument is not a finite number.
    """
    space = FeasibleSpace(
        min=_decimal("min", min),
        max=_decimal("max", max),
        step=None if step is None else _decimal("step", step),
        distribution=distribution,
    )
    return ParameterSpec(parameter_type=ParameterType.DOUBLE, feasible_space=space)


def int(
    min: SupportsIndex,
    max: SupportsIndex,
    step: SupportsIndex | None = None,
    *,
    distribution: str | None = None,
) -> ParameterSpec:
    """A whole-number parameter; arguments as for `double`.

    Raises:
        InputError: an argument is not a whole number.
    """
    space = FeasibleSpace(
        min=_whole("min", min),
        max=_whole("max", max),
        step=None if step is None else _whole("step", step),
        distribution=distribution,
    )
    return ParameterSpec(parameter_type=ParameterType.INT, feasible_space=space)


def log_double(min: Real, max: Real) -> ParameterSpec:
    """A floating-point parameter whose logarithm is uniform, such as a learning rate.

    Raises:
        InputError: as `double`.
    """
    return double(min, max, distribution=Distribution.LOG_UNIFORM.value)


def discrete(values: Iterable[Real]) -> ParameterSpec:
    """One of several numbers, whose order means something.

    The objective gets the number as it is here: an `int` stays an `int`.

    Raises:
        InputError: there is none, one is given twice, or one is not a finite number.
    """
    found = tuple(_plain(value) for value in _listed("discrete", values))
    texts = tuple(_decimal("values", value) if isinstance(value, float) else str(value) for value in found)
    return _choice(ParameterType.DISCRETE, texts, found)


def categorical(values: Iterable[Any]) -> ParameterSpec:
    """One of several choices without an order, which may be any objects: the objective gets the very one.

    In the Experiment a choice that is no string stands as its `repr`, a class or function as its name.

    Raises:
        InputError: there is none, two of them look the same, or a `repr` differs from process to process.
    """
    found = tuple(_listed("categorical", values))
    return _choice(ParameterType.CATEGORICAL, tuple(_text(value) for value in found), found)


def _choice(kind: ParameterType, texts: tuple[str, ...], values: tuple[Any, ...]) -> ParameterSpec:
    twice = next((text for index, text in enumerate(texts) if text in texts[:index]), None)
    if twice is not None:
        raise InputError(f"search.{kind} must have distinct values, got {twice} twice")
    spec = ListedSpec(parameter_type=kind, feasible_space=FeasibleSpace(list=texts))
    spec._values = values
    return spec


def _listed(name: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, str):
        raise InputError(f"search.{name} must have a list of values, got the string {values!r}")
    found = list(values)
    if not found:
        raise InputError(f"search.{name} must have at least one value, got none")
    return found


def _text(value: Any) -> str:
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(operator.index(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    name = getattr(value, "__qualname__", None)
    text = name if isinstance(name, str) else repr(value)
    if " at 0x" in text:
        raise InputError(
            f"search.categorical must have values whose text is the same in every process, got {text}; "
            "give names and choose by name in the objective"
        )
    return text


def _plain(value: Real) -> builtins.int | float:
    """The number as Python's own; `numpy.int64(3)` is an `int`."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return _number("values", value)


def _number(name: str, value: Real) -> float:
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} of a search parameter must be a finite number, got {value!r}")
    return number


def _decimal(name: str, value: Real) -> str:
    return repr(_number(name, value))


def _whole(name: str, value: SupportsIndex) -> str:
    try:
        return str(operator.index(value))
    except TypeError:
        raise InputError(
            f"{name} of search.int must be a whole number, got {value!r}; use search.double for fractions"
        ) from None
