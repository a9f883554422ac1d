from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from katibpy.client.fingerprint import fingerprint


def defined(source: str, *, file: str = "cell.py", **variables: object) -> Callable[..., Any]:
    """The function `f` of a source, as a notebook's cell would define it."""
    scope: dict[str, Any] = {"__name__": "__main__", **variables}
    exec(compile(textwrap.dedent(source), file, "exec"), scope)  # noqa: S102 - it is what a notebook does
    found: Callable[..., Any] = scope["f"]
    return found


BASE = """
    scale = 2
    def helper(x):
        return x * scale
    def f(p):
        return helper(p["x"])
"""


@pytest.mark.parametrize(
    "same",
    [
        BASE,
        "\n\n\n    # moved down, and commented" + BASE,
        BASE.replace("def helper", "unused = object()\n    def helper"),
    ],
)
def test_where_a_function_stands_does_not_matter(same: str) -> None:
    assert fingerprint(defined(same, file="elsewhere.py")) == fingerprint(defined(BASE))


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("scale = 2", "scale = 3"),
        BASE.replace("x * scale", "x + scale"),
        BASE.replace('p["x"]', 'p["y"]'),
        BASE.replace("def f(p)", "def f(p, q=1)"),
    ],
)
def test_what_a_function_does_matters_however_deep(other: str) -> None:
    assert fingerprint(defined(other)) != fingerprint(defined(BASE))


def test_captured_variables_matter() -> None:
    def make(offset: int) -> Callable[[int], int]:
        return lambda x: x + offset

    assert fingerprint(make(1)) == fingerprint(make(1))
    assert fingerprint(make(1)) != fingerprint(make(2))


def test_classes_and_instances_of_the_users_own_matter() -> None:
    source = """
        class Model:
            depth = {depth}
            def __init__(self, width):
                self.width = width
            def fit(self):
                return self.width * self.depth
        model = Model({width})
        def f(p):
            return model.fit()
    """
    prints = {
        (depth, width): fingerprint(defined(source.format(depth=depth, width=width)))
        for depth in (1, 2)
        for width in (1, 2)
    }
    assert len(set(prints.values())) == 4
    assert fingerprint(defined(source.format(depth=1, width=2))) == prints[1, 2]


def test_functions_that_call_each_other_come_to_an_end() -> None:
    source = """
        def g(n):
            return f(n - 1)
        def f(n):
            return n and g(n)
    """
    assert fingerprint(defined(source)) == fingerprint(defined(source))


def test_parts_of_a_partial_and_a_method_matter() -> None:
    def add(x: int, y: int) -> int:
        return x + y

    assert fingerprint(functools.partial(add, 1)) != fingerprint(functools.partial(add, 2))
    assert fingerprint([1].append) != fingerprint(types.SimpleNamespace(x=1))


def test_it_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy, types
            from katibpy.client.fingerprint import fingerprint
            class Kind:
                names = {"a", "b", "c", "d"}
            data = numpy.arange(5)
            def f(p):
                return p["x"] in {"sgd", "adam", "rmsprop"} and Kind.names and data
            print(fingerprint(f, {"x": 1, "y": {"one", "two", "three"}}))
            """
        )
    )
    prints = {
        subprocess.run(
            [sys.executable, script], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(prints) == 1
