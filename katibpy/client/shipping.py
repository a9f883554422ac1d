"""Packs an objective with all that it needs, for a process of its own to run.

The function, what it captured and the global variables it uses travel by value with cloudpickle, as far as
they were defined in the caller's script or notebook; what comes from importable modules travels by name, and
the caller's module search path and directory with it.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.client.fingerprint import fingerprint
from katibpy.client.reach import sources_of
from katibpy.client.run_objective import read_payload
from katibpy.client.search import ListedSpec
from katibpy.client.unfit import check_fit, described, why_unfit
from katibpy.errors import InputError, StoreError

Objective = Callable[..., Any]
SUFFIX = ".objective"


@dataclass(frozen=True, slots=True)
class Call:
    """What a trial is to call.

    Attributes:
        objective: the function.
        searched: the parameters that are searched, by name.
        constants: the other entries of the objective's parameters.
        metric: the name under which a returned number is reported.
    """

    objective: Objective
    searched: Mapping[str, ParameterSpec]
    constants: Mapping[str, object]
    metric: str

    @property
    def fingerprint(self) -> str:
        """Equal for calls that do the same."""
        kinds = sorted(_kinds(self.searched).items())
        return fingerprint(self.objective, dict(self.constants), _choices(self.searched), kinds, self.metric)


def pack(call: Call) -> bytes:
    """The content of a payload file, which `run_objective` reads.

    Raises:
        InputError: the objective takes other arguments, or something it uses cannot be sent to another
            process; the message names the variable.
    """
    by_name = _is_called_by_name(call)
    constants, choices = dict(call.constants), _choices(call.searched)
    for name, value in (*constants.items(), *choices.items()):
        check_fit(name, value)
    try:
        content = cloudpickle.dumps((call.objective, constants))
    except Exception as err:
        raise InputError(why_unfit(call.objective, err)) from err
    header = {
        "call": content,
        "choices": cloudpickle.dumps(choices),
        "kinds": _kinds(call.searched),
        "metric": call.metric,
        "by_name": by_name,
        "search_path": [os.path.abspath(entry) for entry in sys.path],
        "directory": os.getcwd(),
        "sources": dict(sources_of(call.objective)),
    }
    return pickle.dumps(header, protocol=pickle.HIGHEST_PROTOCOL)


def write_payload(path: Path, content: bytes) -> None:
    """Writes a payload for its user alone, whole or not at all; one that is there already stays.

    Raises:
        StoreError: it cannot be written.
    """
    if path.exists():
        return
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        # mkstemp makes files that only their user can open.
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=SUFFIX)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
    except OSError as err:
        raise StoreError(f"the objective cannot be written to {path}: {err.strerror}") from err


def payload_path(folder: Path, experiment_name: str, digest: str) -> Path:
    """Where an experiment's objective is kept."""
    return folder / f"{experiment_name}-{digest}{SUFFIX}"


def read_choices(path: Path) -> dict[str, dict[str, Any]]:
    """By parameter and text, the values of parameters that are one of a list; {} when they cannot be told."""
    try:
        choices: dict[str, dict[str, Any]] = pickle.loads(read_payload(str(path))["choices"])
    except Exception:  # noqa: BLE001 - a class that was defined in another program, or is no more
        return {}
    return choices


def remove_payloads(folder: Path, experiment_name: str, *, but: Path | None = None) -> None:
    """Removes what is kept of an experiment's objectives, one excepted."""
    for path in folder.glob(f"{experiment_name}-*{SUFFIX}"):
        name, _, _ = path.stem.rpartition("-")
        if name == experiment_name and path != but:
            with contextlib.suppress(OSError):
                path.unlink()


def _is_called_by_name(call: Call) -> bool:
    """Whether each parameter is handed over under its own name instead of all in one dict, as Katib does.

    Raises:
        InputError: the objective takes neither.
    """
    names = [*call.searched, *call.constants]
    try:
        signature = inspect.signature(call.objective)
    except (TypeError, ValueError):
        return False  # of built-in code; it knows itself
    taken = signature.parameters
    takes_names = _fits(signature, **dict.fromkeys(names))
    if takes_names and all(name in taken for name in names):
        return True
    if _fits(signature, {}):
        return False
    if takes_names:
        return True
    raise InputError(
        f"the objective {described(call.objective)} must take one dict of parameters, or a parameter for "
        f"each of {', '.join(names)}; it takes {signature}"
    )


def _fits(signature: inspect.Signature, *args: object, **kwargs: object) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _kinds(searched: Mapping[str, ParameterSpec]) -> dict[str, str]:
    return {name: str(spec.parameter_type) for name, spec in searched.items()}


def _choices(searched: Mapping[str, ParameterSpec]) -> dict[str, dict[str, object]]:
    """By parameter and text, the value that is meant, where a parameter is one of a list."""
    return {
        name: spec.values_by_text
        if isinstance(spec, ListedSpec)
        else {text: _value(spec, text) for text in spec.feasible_space.list or ()}
        for name, spec in searched.items()
        if spec.feasible_space.list is not None
    }


def _value(spec: ParameterSpec, text: str) -> object:
    if spec.parameter_type != ParameterType.DISCRETE:
        return text
    for convert in (int, float):
        with contextlib.suppress(ValueError):
            return convert(text)
    return text
