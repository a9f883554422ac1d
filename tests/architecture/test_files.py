from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.architecture.sources import (
    IMPORT_ROOTS,
    MIGRATIONS,
    ROOT,
    called_names,
    parsed,
    python_files,
    said,
)

MOST_LINES = 400
EVERYWHERE = (*IMPORT_ROOTS, "tests", "benchmarks", "deploy", "examples", "docs")
PUBLIC = ROOT / "katibpy" / "__init__.py"
VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}


def test_files_stay_short_enough_for_one_idea() -> None:
    lengths = {
        said(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*EVERYWHERE)
    }
    assert len(lengths) > 10
    too_long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert not too_long, f"a file has at most {MOST_LINES} lines; cut these along their ideas: {too_long}"


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    # A module run as a script puts its folder on sys.path, and then shadows the library's.
    shadowing = [
        said(path) for path in python_files(*IMPORT_ROOTS) if module_name(path) in sys.stdlib_module_names
    ]
    assert not shadowing, f"rename these, their names belong to the standard library: {shadowing}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [said(path) for path in python_files(*IMPORT_ROOTS, "tests") if module_name(path) in VAGUE]
    assert not vague, f"name these for what they do: {vague}"


def test_every_source_folder_is_a_package() -> None:
    # Without __init__.py mypy and the wheel still find the modules, and the import contracts do not.
    folders = {path.parent for path in python_files(*IMPORT_ROOTS)}
    bare = [
        said(folder)
        for folder in sorted(folders)
        if not (folder / "__init__.py").exists() and MIGRATIONS not in (folder, *folder.parents)
    ]
    assert not bare, f"add an __init__.py with a docstring to {bare}"


def test_a_package_says_what_belongs_in_it_and_holds_no_logic() -> None:
    faults = []
    packages = [path for path in python_files(*IMPORT_ROOTS) if path.name == "__init__.py"]
    assert len(packages) >= len(IMPORT_ROOTS)
    for path in packages:
        tree = parsed(path)
        docstring = (ast.get_docstring(tree) or "").lower()
        if "import" not in docstring:
            faults.append(f"{said(path)}: the docstring must say what belongs here and who may import it")
        faults.extend(
            f"{said(path)}:{statement.lineno}: no logic in a package; move it to a module"
            for statement in tree.body[1:]
            if not (is_harmless(statement) or (path == PUBLIC and is_late_export(statement)))
        )
    assert not faults, "\n".join(faults)


def test_only_the_command_line_and_scripts_print() -> None:
    command_line = ROOT / "katibpy" / "cli"
    prints = [
        f"{said(path)}:{line}"
        for path in python_files(*IMPORT_ROOTS)
        if command_line not in path.parents
        for line, name, call in called_names(parsed(path))
        if name == "print" and isinstance(call.func, ast.Name)
    ]
    assert not prints, f"log instead of printing in {prints}"


def module_name(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


def is_harmless(statement: ast.stmt) -> bool:
    """Whether a package may hold the statement: the annotations import, or a constant dunder."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and all(isinstance(target, ast.Name) and target.id.startswith("__") for target in statement.targets)
    )


def is_late_export(statement: ast.stmt) -> bool:
    """Whether the top-level package may hold it, to find the public names when they are asked for."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module in {"importlib", "typing"}
    if isinstance(statement, ast.FunctionDef):
        return statement.name == "__getattr__"
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) == "TYPE_CHECKING"
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
