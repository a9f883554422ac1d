"""The page about explanations lists every kind of finding."""

from __future__ import annotations

import re
from pathlib import Path

from katibpy.core import explanation
from katibpy.core.explanation.advice import ANY_WAIT, BY_REASON, WAITS

ROOT = Path(__file__).resolve().parents[4]
BUILT = re.compile(r"""(?:Finding|_result)\(\s*(?:kind=)?"(\w+)\"""")


def test_every_kind_of_finding_is_documented() -> None:
    sources = Path(next(iter(explanation.__path__))).glob("*.py")
    kinds = {kind for source in sources for kind in BUILT.findall(source.read_text(encoding="utf-8"))}
    kinds |= {wait.kind for wait in (*WAITS, ANY_WAIT)} | set(BY_REASON) | {"ProcessFailed", "ProcessKilled"}
    assert len(kinds) > 20
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    table = page.partition("## All findings")[2]
    assert {kind for kind in kinds if f"`{kind}`" not in table} == set()
