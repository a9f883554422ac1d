"""The Python files of this repository, as the architecture tests see them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ROOTS = ("katibpy", "suggestion_services", "early_stopping", "nas")
GENERATED = ROOT / "katibpy" / "pb" / "v1beta1"
MIGRATIONS = ROOT / "katibpy" / "stores" / "sql" / "migrations"


def python_files(*folders: str) -> list[Path]:
    """Every Python file written by hand below `folders`, which are relative to the root."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if GENERATED not in path.parents)


def said(path: Path) -> str:
    """The path as a message names it."""
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import anywhere in the file, late ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def called_names(tree: ast.Module) -> Iterator[tuple[int, str, ast.Call]]:
    """Line, last name and call of every call: `print(...)` and `sys.x.print(...)` are both `print`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id, node
            elif isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr, node
