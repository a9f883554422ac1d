"""What a function needs besides its arguments: captured and global variables, defaults, its own object."""

from __future__ import annotations

import dis
import functools
import inspect
import linecache
import os
import types
from collections.abc import Iterator
from dataclasses import dataclass

_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


@dataclass(frozen=True, slots=True)
class Used:
    """One thing that a function needs.

    Attributes:
        place: `captured variable`, `global variable`, `attribute` or `default of the argument`.
        name: its name there.
        value: the thing itself.
    """

    place: str
    name: str
    value: object


def function_of(value: object) -> types.FunctionType | None:
    """The Python function that calling `value` runs; None when that is none."""
    if isinstance(value, functools.partial):
        return function_of(value.func)
    if isinstance(value, types.MethodType):
        value = value.__func__
    if not isinstance(value, types.FunctionType):
        value = getattr(type(value), "__call__", None)  # noqa: B004 - not whether, but what
    return value if isinstance(value, types.FunctionType) else None


def used_by(value: object) -> Iterator[Used]:
    """What calling `value` needs."""
    function = function_of(value)
    if function is None:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield Used("captured variable", name, content_of(cell))
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield Used("global variable", name, function.__globals__[name])
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty:
            yield Used("default of the argument", parameter.name, parameter.default)
    if isinstance(value, functools.partial):
        bound = {str(index): each for index, each in enumerate(value.args)} | value.keywords
        yield from (Used("argument", name, each) for name, each in bound.items())
    elif value is not function:
        owner = value.__self__ if isinstance(value, types.MethodType) else value
        for name, attribute in getattr(owner, "__dict__", {}).items():
            yield Used("attribute", name, attribute)


def sources_of(objective: object) -> Iterator[tuple[str, str]]:
    """Name and text of sources that only this process knows, such as a notebook's cells.

    With them another process can show the lines of a traceback.
    """
    for code in _codes(objective):
        name = code.co_filename
        if not os.path.exists(name):
            lines = linecache.getlines(name)
            if lines:
                yield name, "".join(lines)


def global_names(code: types.CodeType) -> list[str]:
    """Names of global variables that the code reads, that of functions inside it included, in order."""
    found = [str(step.argval) for step in dis.get_instructions(code) if step.opname in _GLOBAL_READS]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += global_names(constant)
    return list(dict.fromkeys(found))


def content_of(cell: types.CellType) -> object:
    """What a captured variable holds; None while it holds nothing."""
    try:
        content: object = cell.cell_contents
    except ValueError:
        return None
    return content


def _codes(objective: object) -> Iterator[types.CodeType]:
    """Code of the objective and of what it reaches in the caller's script or notebook."""
    seen: set[int] = set()
    pending: list[object] = [objective]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, type) and value.__module__ == "__main__":
            pending += vars(value).values()
        function = function_of(value)
        if function is not None and function.__module__ == "__main__":
            yield function.__code__
            pending += [used.value for used in used_by(value)]
