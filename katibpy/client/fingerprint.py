"""Tells whether two objectives are the same, from one process to another.

A pickle cannot: it holds file names, line numbers, random ids of classes and sets in random order. Here only
what decides about results counts: instructions, constants, defaults, captured and global variables, and the
same of every function and class of the user's own that is reached. What comes from other modules counts by
its name.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import types
from collections.abc import Iterable, Mapping
from typing import Any

from katibpy.client.reach import content_of, global_names

_LENGTH = 16
_PASSED_BY = frozenset(
    {"__dict__", "__doc__", "__firstlineno__", "__module__", "__static_attributes__", "__weakref__"}
)
"""Members of a class that say where it stands, or nothing."""


def fingerprint(*values: object) -> str:
    """A short text that is equal for equal values, functions among them, in any process."""
    module = next((value.__module__ for value in values if isinstance(value, types.FunctionType)), "__main__")
    walk = _Walk({"__main__", module})
    walk.add(values)
    return walk.digest()[:_LENGTH]


class _Walk:
    """Goes through a value depth first and feeds a hash with what it sees."""

    def __init__(self, own_modules: set[str]) -> None:
        self._own_modules = own_modules
        self._hash = hashlib.sha256()
        self._places: dict[int, int] = {}
        self._kept: list[object] = []

    def digest(self) -> str:
        return self._hash.hexdigest()

    def add(self, value: object) -> None:
        """Takes a value in."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self._say(type(value).__name__, repr(value))
            return
        place = self._places.setdefault(id(value), len(self._places))
        if place < len(self._kept):
            self._say("again", str(place))
            return
        self._kept.append(value)
        self._add_object(value)

    def _add_object(self, value: object) -> None:
        match value:
            case types.CodeType():
                self._add_code(value)
            case types.FunctionType() if self._is_own(value):
                self._add_function(value)
            case types.FunctionType() | types.BuiltinFunctionType() | types.ModuleType():
                module = getattr(value, "__module__", "") or ""
                self._say("name", module, getattr(value, "__qualname__", value.__name__))
            case types.MethodType():
                self._add_all("method", (value.__func__, value.__self__))
            case functools.partial():
                self._add_all("partial", (value.func, value.args, value.keywords))
            case type():
                self._add_class(value)
            case list() | tuple():
                self._add_all("list", value)
            case set() | frozenset():
                self._say("set", *sorted(self._apart(item) for item in value))
            case dict():
                self._add_mapping(value)
            case _:
                self._add_instance(value)

    def _add_function(self, function: types.FunctionType) -> None:
        self._say("function")
        self.add(function.__code__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._say("captured", name)
            self.add(content_of(cell))
        for name in global_names(function.__code__):
            if name in function.__globals__:
                self._say("global", name)
                self.add(function.__globals__[name])

    def _add_code(self, code: types.CodeType) -> None:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self._say("code", code.co_code.hex(), repr(counts), code.co_exceptiontable.hex())
        for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
            self._say("names", *names)
        self._add_all("constants", code.co_consts)

    def _add_class(self, value: type) -> None:
        self._say("class", value.__module__, value.__qualname__)
        if not self._is_own(value):
            return
        self._add_all("bases", value.__bases__)
        for name, member in sorted(vars(value).items()):
            if name in _PASSED_BY:
                continue
            self._say("member", name)
            wrapped = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            self.add(wrapped)

    def _add_instance(self, value: Any) -> None:
        kind = type(value)
        if self._is_own(kind):
            self._add_class(kind)
            self._add_mapping(getattr(value, "__dict__", {}))
            return
        self._say("instance", kind.__module__, kind.__qualname__)
        try:
            self._hash.update(pickle.dumps(value, protocol=4))
        except Exception:  # noqa: BLE001 - whatever a foreign class does; its name has been said
            self._say("opaque")

    def _add_all(self, kind: str, values: Iterable[object]) -> None:
        found = list(values)
        self._say(kind, str(len(found)))
        for value in found:
            self.add(value)

    def _add_mapping(self, mapping: Mapping[Any, object]) -> None:
        self._add_all("mapping", (part for item in mapping.items() for part in item))

    def _apart(self, value: object) -> str:
        walk = _Walk(self._own_modules)
        walk.add(value)
        return walk.digest()

    def _is_own(self, value: Any) -> bool:
        return value.__module__ in self._own_modules

    def _say(self, *words: str) -> None:
        for word in words:
            content = word.encode(errors="surrogatepass")
            self._hash.update(b"%d:" % len(content))
            self._hash.update(content)
