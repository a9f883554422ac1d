from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, called_names, imported_modules, parsed, python_files, said

PURE = ("api", "core", "algo", "ports", "catalog", "errors")

# Import contracts cover what the service talks to (gRPC, SQL, sockets); here is what makes one and the
# same call answer differently, or speak.
IMPURE_MODULES = {
    "asyncio",
    "concurrent",
    "getpass",
    "glob",
    "logging",
    "multiprocessing",
    "os",
    "platform",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
IMPURE_CALLS = {"input", "now", "open", "print", "today", "urandom", "utcnow", "uuid1", "uuid4"}


@pytest.mark.parametrize("package", PURE)
def test_a_pure_package_imports_nothing_that_has_effects(package: str) -> None:
    faults = [
        f"{said(path)}:{line}: {module}"
        for path in files_of(package)
        for line, module in imported_modules(parsed(path))
        if module.partition(".")[0] in IMPURE_MODULES
    ]
    assert not faults, "take what these give as an argument instead:\n" + "\n".join(faults)


@pytest.mark.parametrize("package", PURE)
def test_a_pure_package_reads_no_clock_draws_no_chance_and_opens_no_file(package: str) -> None:
    faults = [
        f"{said(path)}:{line}: {name}()"
        for path in files_of(package)
        for line, name, call in called_names(parsed(path))
        if name in IMPURE_CALLS or is_unseeded(name, call)
    ]
    assert not faults, "take what these give as an argument instead:\n" + "\n".join(faults)


def files_of(name: str) -> list[Path]:
    """The files of a package, or the one of a module."""
    module = ROOT / "katibpy" / f"{name}.py"
    found = [module] if module.exists() else python_files(f"katibpy/{name}")
    assert found, f"katibpy.{name} is not there; was it renamed?"
    return found


def is_unseeded(name: str, call: ast.Call) -> bool:
    return name == "default_rng" and not call.args and not call.keywords
