"""The page about Python prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.katib_command import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
MARK = "<next block>"


def told(text: str) -> str:
    """The text without what differs each time: the ends of trials' names, and where the script stands."""
    text = re.sub(r"\b(shown|ratio)-[a-z0-9]{8}\b", r"\1-NAME", text)
    return re.sub(r'File "[^"]*/tuning.py", line \d+', 'File "tuning.py"', text)


def test_the_page_about_python_prints_what_it_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) > 4
    script = tmp_path / "tuning.py"
    script.write_text("".join(f"print({MARK!r})\n{code}" for code, _ in blocks), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    printed = ended.stdout.split(f"{MARK}\n")[1:]
    assert [told(text) for text in printed] == [told(expected) for _, expected in blocks]
