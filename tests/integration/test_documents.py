"""What the documents point at is there: files, sections and tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.katib_command import ROOT, Katib

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEST_NAME = re.compile(r"`(test_\w+)`")
SOURCE_PATH = re.compile(
    r"`((?:katibpy|suggestion_services|early_stopping|nas|tests|examples|docs|proto)/[\w./-]+)`"
)
CASE = re.compile(r"\[((?:`[\w-]+`(?:, )?)+)\]")


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def _test_sources() -> str:
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "katibpy" / "testing").rglob("*.py")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        headings = (
            re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            if file.suffix == ".md"
            else []
        )
        if not file.exists() or (anchor and anchor not in map(_anchor, headings)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    named = SOURCE_PATH.findall(document.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    text, sources = document.read_text(encoding="utf-8"), _test_sources()
    names = set(TEST_NAME.findall(text))
    cases = {case for group in CASE.findall(text) for case in re.findall(r"`([\w-]+)`", group)}
    missing = {name for name in names if f"def {name}(" not in sources}
    missing |= {case for case in cases if f'"{case}"' not in sources}
    assert missing == set()


def test_the_checks_of_algorithms_that_are_named_exist() -> None:
    text = (ROOT / "docs" / "katib-compatibility.md").read_text(encoding="utf-8")
    section = text.partition("### In the search")[2].partition("###")[0]
    sources = _test_sources()
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section))
    assert names
    assert {name for name in names if f"def {name}(" not in sources} == set()


def test_experiments_in_documents_are_valid(tmp_path: Path) -> None:
    files: list[Path] = []
    for document in DOCUMENTS:
        for block in re.findall(
            r"^```yaml\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            if "kind: Experiment" in block:
                files.append(tmp_path / f"{document.stem}-{len(files)}.yaml")
                files[-1].write_text(block, encoding="utf-8")
    assert len(files) >= 2
    for file in files:
        checked = Katib(tmp_path / "state")("validate", file)
        assert checked.code == 0, checked
