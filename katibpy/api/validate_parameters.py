"""Rules for the search space: names, types, bounds, steps, lists and distributions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

from katibpy.api.experiment import Distribution, FeasibleSpace, ParameterSpec, ParameterType
from katibpy.api.problems import Problems, shown

PARAMETER_TYPES = tuple(kind.value for kind in ParameterType if kind is not ParameterType.UNKNOWN)
DISTRIBUTIONS = tuple(kind.value for kind in Distribution if kind is not Distribution.UNKNOWN)
_LOGARITHMIC = frozenset({Distribution.LOG_UNIFORM.value, Distribution.LOG_NORMAL.value})
_RANGES = frozenset({ParameterType.INT.value, ParameterType.DOUBLE.value})

_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,6})?")
_MAX_INTEGER = 2**63 - 1
_MAX_DIGITS = 400


def check_parameters(
    parameters: Sequence[ParameterSpec],
    path: str,
    problems: Problems,
    *,
    nested: bool = False,
    resource: str = "",
) -> None:
    """Check the parameters of the search space, or of one operation of a NAS search space (`nested`).

    The parameter that an algorithm divides its budget by (`resource`) may have min and max equal: Katib's
    example has it so.
    """
    problems.distinct(path, (parameter.name for parameter in parameters), "name", ".name")
    for index, parameter in enumerate(parameters):
        where = f"{path}[{index}]"
        problems.require(f"{where}.name", parameter.name)
        if problems.one_of(f"{where}.parameterType", parameter.parameter_type, PARAMETER_TYPES):
            is_resource = bool(resource) and parameter.name == resource
            _space(parameter, f"{where}.feasibleSpace", problems, nested=nested, may_be_one_value=is_resource)


def parse_number(text: str, *, whole: bool = False) -> Decimal | None:
    """The finite number that a field holds; `None` when it is none. Whole numbers fit 64 bits."""
    if len(text) > _MAX_DIGITS:
        return None
    if whole:
        if not _INTEGER.fullmatch(text) or abs(int(text)) > _MAX_INTEGER:
            return None
        return Decimal(int(text))
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        return None
    return Decimal(text)


def _space(
    parameter: ParameterSpec, path: str, problems: Problems, *, nested: bool, may_be_one_value: bool
) -> None:
    space, kind = parameter.feasible_space, parameter.parameter_type
    if kind in _RANGES:
        _distribution(space, path, problems)
        needs_step = nested and kind == ParameterType.DOUBLE
        _range(space, kind, path, problems, needs_step=needs_step, may_be_one_value=may_be_one_value)
        return
    for field, value in (("min", space.min), ("max", space.max), ("step", space.step)):
        if value:
            problems.add(
                f"{path}.{field}",
                f"must not be set for parameterType {kind}, whose values come from list, got {shown(value)}",
            )
    # Katib's own defaulting writes `uniform` to every parameter, so objects that come from it have it.
    if space.distribution and space.distribution != Distribution.UNIFORM:
        problems.add(
            f"{path}.distribution",
            f"must not be set for parameterType {kind}, got {shown(space.distribution)}; "
            "only int and double have distributions",
        )
    _list(space, kind, path, problems)


def _distribution(space: FeasibleSpace, path: str, problems: Problems) -> None:
    if space.distribution:
        problems.one_of(f"{path}.distribution", space.distribution, DISTRIBUTIONS)


def _range(
    space: FeasibleSpace,
    kind: str,
    path: str,
    problems: Problems,
    *,
    needs_step: bool,
    may_be_one_value: bool,
) -> None:
    if space.list:
        problems.add(
            f"{path}.list",
            f"must not be set for parameterType {kind}, got {shown(list(space.list))}; "
            "use min and max, or parameterType discrete",
        )
    low = _bound(space.min, "min", kind, path, problems)
    high = _bound(space.max, "max", kind, path, problems)
    is_fixed = low is not None and low == high
    if low is not None and high is not None and low >= high and not (is_fixed and may_be_one_value):
        advice = (
            "; put a fixed value into the trial template, or use a list with one item" if is_fixed else ""
        )
        problems.add(f"{path}.min", f"must be less than max ({space.max}), got {shown(space.min)}{advice}")
    if space.distribution in _LOGARITHMIC and low is not None and low <= 0:
        problems.add(
            f"{path}.min",
            f"must be greater than 0 for distribution {space.distribution}, got {shown(space.min)}",
        )
    if not space.step:
        if needs_step:
            problems.add(f"{path}.step", "must be set for a double of an operation, got nothing")
        return
    step = _bound(space.step, "step", kind, path, problems)
    if step is None:
        return
    if step <= 0:
        problems.add(f"{path}.step", f"must be greater than 0, got {shown(space.step)}")
    elif low is not None and high is not None and low < high and step > high - low:
        problems.add(
            f"{path}.step",
            f"must be at most max - min ({high - low:f}), got {shown(space.step)}, which leaves one value",
        )


def _bound(text: str | None, field: str, kind: str, path: str, problems: Problems) -> Decimal | None:
    if not text:
        problems.add(f"{path}.{field}", f"must be set for parameterType {kind}, got nothing")
        return None
    whole = kind == ParameterType.INT
    number = parse_number(text, whole=whole)
    if number is None:
        rule = "must be a whole number of 64 bits" if whole else "must be a finite number"
        problems.add(f"{path}.{field}", f"{rule} for parameterType {kind}, got {shown(text)}")
    return number


def _list(space: FeasibleSpace, kind: str, path: str, problems: Problems) -> None:
    if not space.list:
        problems.add(f"{path}.list", f"must have at least one item for parameterType {kind}, got nothing")
        return
    numeric = kind == ParameterType.DISCRETE
    first: dict[object, int] = {}
    for index, text in enumerate(space.list):
        value: object = text
        if numeric:
            value = parse_number(text)
            if value is None:
                problems.add(
                    f"{path}.list[{index}]",
                    f"must be a finite number for parameterType discrete, got {shown(text)}; "
                    "use parameterType categorical for words",
                )
                continue
        if value in first:
            problems.add(
                f"{path}.list[{index}]",
                f"must not repeat a value, got {shown(text)}, which is list[{first[value]}] too",
            )
        first.setdefault(value, index)
