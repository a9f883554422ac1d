"""Objectives of every kind, packed here and run in a process of their own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.experiment import FeasibleSpace, ParameterSpec
from katibpy.client import search
from katibpy.client.shipping import Call, pack, payload_path, remove_payloads, write_payload
from katibpy.errors import InputError

LR: Mapping[str, ParameterSpec] = {"lr": search.double(0, 1)}


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def run(payload: Path, *words: str) -> Ended:
    command = [sys.executable, "-P", "-m", "katibpy.client.run_objective", str(payload), *words]
    ended = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=30, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def shipped(
    path: Path,
    objective: Callable[..., Any],
    *words: str,
    searched: Mapping[str, ParameterSpec] = LR,
    constants: Mapping[str, object] | None = None,
) -> Ended:
    """Packs a function and runs it with `name=value` words."""
    payload = path / "x.objective"
    write_payload(payload, pack(Call(objective, searched, constants or {}, "score")))
    return run(payload, *words)


def test_values_arrive_with_their_types(tmp_path: Path) -> None:
    def objective(parameters: dict[str, Any]) -> None:
        print(sorted((name, type(value).__name__, value) for name, value in parameters.items()))  # noqa: T201

    searched = {
        "lr": search.double(0, 1),
        "depth": search.int(1, 9),
        "size": search.discrete([1, 2.5]),
        "layers": search.categorical([(8,), (8, 8)]),
        "text": search.categorical(["a=b", "c"]),
        "other": ParameterSpec(parameter_type="discrete", feasible_space=FeasibleSpace(list=("3", "0.5"))),
    }
    words = ("lr=1e-05", "depth=4", "size=2.5", "layers=(8, 8)", "text=a=b", "other=3")
    ended = shipped(tmp_path, objective, *words, searched=searched, constants={"epochs": 5})
    assert ended == Ended(
        0,
        "[('depth', 'int', 4), ('epochs', 'int', 5), ('layers', 'tuple', (8, 8)), ('lr', 'float', 1e-05), "
        "('other', 'int', 3), ('size', 'float', 2.5), ('text', 'str', 'a=b')]\n",
        "",
    )


def test_what_it_returns_is_printed_as_metrics(tmp_path: Path) -> None:
    assert shipped(tmp_path, lambda p: p["lr"] * 2, "lr=0.25").stdout == "score=0.5\n"


def test_a_dict_of_metrics_is_printed_by_name(tmp_path: Path) -> None:
    import numpy as np

    ended = shipped(tmp_path, lambda p: {"loss": np.float32(0.5), "steps": 3, "nan": float("nan")}, "lr=1")
    assert ended.stdout == "loss=0.5\nsteps=3\nnan=nan\n"


def test_a_metric_never_continues_a_line_that_was_begun(tmp_path: Path) -> None:
    def objective(parameters: dict[str, float]) -> float:
        print("done", end="")  # noqa: T201 - as objectives do
        return 1.0

    assert shipped(tmp_path, objective, "lr=1").stdout == "done\nscore=1.0\n"


@pytest.mark.parametrize("result", ["0.5", [0.5], {"a": None}, {"a": "1"}, 1j])
def test_what_is_no_number_fails_and_says_so(tmp_path: Path, result: object) -> None:
    ended = shipped(tmp_path, lambda p: result, "lr=1")
    assert ended.code == 1
    assert "TypeError: the objective must return a number, a dict of numbers by metric name" in ended.stderr


@pytest.mark.parametrize(
    "objective",
    [
        lambda p: p["lr"] * p["epochs"],
        lambda lr, epochs: lr * epochs,
        lambda **p: p["lr"] * p["epochs"],
        lambda *, lr, **rest: lr * rest["epochs"],
        lambda *args, **kwargs: args[0]["lr"] * args[0]["epochs"],
        functools.partial(lambda scale, p: scale * p["lr"] * p["epochs"], 1),
    ],
)
def test_it_is_called_with_a_dict_or_by_names(tmp_path: Path, objective: Callable[..., Any]) -> None:
    assert shipped(tmp_path, objective, "lr=0.5", constants={"epochs": 3}).stdout == "score=1.5\n"


def test_a_function_that_takes_neither_is_refused(tmp_path: Path) -> None:
    def objective(first: int, second: int) -> int:
        return first + second

    with pytest.raises(InputError) as caught:
        shipped(tmp_path, objective)
    assert "must take one dict of parameters, or a parameter for each of lr; it takes (first: 'int'" in str(
        caught.value
    )


def test_captured_and_global_variables_travel(tmp_path: Path) -> None:
    offset, table = 2, {"a": [1, 2, 3]}

    def inner(x: float) -> float:
        return x + offset + sum(table["a"])

    class Model:
        def fit(self, x: float) -> float:
            return inner(x)

    assert shipped(tmp_path, lambda p: Model().fit(p["lr"]), "lr=1").stdout == "score=9.0\n"


def test_a_bound_method_travels_with_its_object(tmp_path: Path) -> None:
    class Study:
        def __init__(self) -> None:
            self.scale = 10

        def objective(self, lr: float) -> float:
            return lr * self.scale

    assert shipped(tmp_path, Study().objective, "lr=0.5").stdout == "score=5.0\n"


def test_a_script_s_functions_and_the_modules_beside_it_are_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "data.txt").write_text("40")
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            import beside
            from katibpy.client import search
            from katibpy.client.shipping import Call, pack, write_payload
            def objective(parameters):
                return beside.double(parameters["lr"]) + int(open("data.txt").read())
            call = Call(objective, {"lr": search.double(0, 1)}, {}, "score")
            write_payload(Path("x.objective"), pack(call))
            """
        )
    )
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, timeout=30, check=True)
    assert run(tmp_path / "x.objective", "lr=1") == Ended(0, "score=42.0\n", "")


def test_a_failing_function_shows_its_own_lines_and_nothing_of_ours(tmp_path: Path) -> None:
    def helper(value: float) -> float:
        return 1 / value

    def objective(parameters: dict[str, float]) -> float:
        return helper(parameters["lr"])

    ended = shipped(tmp_path, objective, "lr=0")
    assert ended.code == 1
    assert "return helper(parameters" in ended.stderr
    assert "return 1 / value" in ended.stderr
    assert ended.stderr.endswith("ZeroDivisionError: float division by zero\n")
    assert "run_objective" not in ended.stderr


def test_lines_of_a_source_that_is_in_no_file_are_shown(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import linecache
            from pathlib import Path
            from katibpy.client import search
            from katibpy.client.shipping import Call, pack, write_payload
            cell = "def objective(p):\\n    return p['lr'] / 0  # in a cell\\n"
            linecache.cache["<cell 3>"] = (len(cell), None, cell.splitlines(True), "<cell 3>")
            exec(compile(cell, "<cell 3>", "exec"))
            write_payload(Path("x.objective"), pack(Call(objective, {"lr": search.double(0, 1)}, {}, "s")))
            """
        )
    )
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, timeout=30, check=True)
    shown = run(tmp_path / "x.objective", "lr=1").stderr
    assert "File \"<cell 3>\", line 2, in objective\n    return p['lr'] / 0  # in a cell" in shown


def _culprits() -> dict[str, tuple[Callable[..., Any], str]]:
    lock = threading.Lock()

    def inner() -> bool:
        return lock.locked()

    class Study:
        def __init__(self) -> None:
            self.guard = threading.Lock()

        def objective(self, lr: float) -> float:
            return lr

    def captures(parameters: dict[str, float]) -> bool:
        return lock.locked()

    def calls(parameters: dict[str, float]) -> bool:
        return inner()

    def defaults(parameters: dict[str, float], guard: Any = lock) -> None: ...

    return {
        "captured": (captures, "the captured variable 'lock', an object of type _thread.lock"),
        "deeper": (calls, "the captured variable 'lock', an object of type _thread.lock, used by 'inner'"),
        "default": (defaults, "the default of the argument 'guard', an object of type _thread.lock"),
        "attribute": (Study().objective, "the attribute 'guard', an object of type _thread.lock"),
        "argument": (functools.partial(lambda guard, p: 1, lock), "the argument '0', an object of type"),
    }


@pytest.mark.parametrize(("objective", "named"), _culprits().values(), ids=_culprits())
def test_a_variable_that_cannot_travel_is_named(objective: Callable[..., Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        pack(Call(objective, LR, {}, "score"))
    assert named in str(caught.value)
    assert "make it inside the function instead" in str(caught.value)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_global_variable_that_cannot_travel_is_named(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import threading
            from katibpy.client import search
            from katibpy.client.shipping import Call, pack
            lock = threading.Lock()
            def objective(parameters):
                return lock.locked()
            pack(Call(objective, {"lr": search.double(0, 1)}, {}, "score"))
            """
        )
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, check=False)
    assert "the global variable 'lock', an object of type _thread.lock" in ended.stderr


@pytest.mark.parametrize("given", ["constant", "choice"])
def test_a_parameter_that_cannot_travel_is_named(given: str) -> None:
    class Unfit:
        def __repr__(self) -> str:
            return "Unfit()"

        def __reduce__(self) -> str:
            raise TypeError("it stays here")

    constants = {"guard": Unfit()} if given == "constant" else {}
    searched = LR if constants else {"guard": search.categorical([Unfit()])}
    with pytest.raises(InputError, match="parameter 'guard' must be something that can be sent"):
        pack(Call(lambda p: 1, searched, constants, "score"))


def test_a_payload_is_its_users_alone_and_refused_when_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "objectives" / "default" / "x.objective"
    (tmp_path / "objectives").mkdir()
    write_payload(path, pack(Call(lambda p: 1, LR, {}, "score")))
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"
    assert os.listdir(path.parent) == ["x.objective"]
    path.chmod(0o644)
    ended = run(path, "lr=1")
    assert ended.code == 1
    assert "must be this user's alone" in ended.stderr


def test_only_the_payloads_of_one_experiment_are_removed(tmp_path: Path) -> None:
    names = [("net", "aa"), ("net", "bb"), ("net-two", "cc")]
    paths = [payload_path(tmp_path, name, digest) for name, digest in names]
    for path in paths:
        path.touch()
    remove_payloads(tmp_path, "net", but=paths[1])
    assert [path.exists() for path in paths] == [False, True, True]
    remove_payloads(tmp_path, "net")
    assert [path.exists() for path in paths] == [False, False, True]


def test_what_a_payload_is_made_of_decides_its_fingerprint() -> None:
    def objective(parameters: dict[str, Any]) -> None: ...

    calls = [
        Call(objective, LR, {"epochs": 1}, "score"),
        Call(objective, LR, {"epochs": 2}, "score"),
        Call(objective, {"lr": search.int(0, 1)}, {"epochs": 1}, "score"),
        Call(objective, LR, {"epochs": 1}, "loss"),
    ]
    assert len({call.fingerprint for call in calls}) == len(calls)
    assert Call(objective, LR, {"epochs": 1}, "score").fingerprint == calls[0].fingerprint
