from __future__ import annotations

import os
import threading
from pathlib import Path

from katibpy.runners.graveyard import Graveyard


def tree(directory: Path) -> Path:
    (directory / "deep" / "deeper").mkdir(parents=True)
    (directory / "deep" / "file").write_text("x")
    return directory


def test_a_buried_directory_is_gone_at_once_and_its_content_by_the_end(tmp_path: Path) -> None:
    yard = Graveyard()
    assert yard.bury(tree(tmp_path / "trial"))
    assert not (tmp_path / "trial").exists()
    yard.close()
    assert list(tmp_path.iterdir()) == []


def test_the_same_name_is_buried_again_and_again(tmp_path: Path) -> None:
    yard = Graveyard()
    for _ in range(20):
        assert yard.bury(tree(tmp_path / "trial"))
    yard.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_cannot_be_buried(tmp_path: Path) -> None:
    yard = Graveyard()
    assert not yard.bury(tmp_path / "nothing")
    yard.close()


def test_what_a_killed_program_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tree(tmp_path / ".trial.123-0.removed")
    other = tree(tmp_path / "trial")
    yard = Graveyard()
    yard.sweep(tmp_path)
    yard.close()
    assert not left.exists()
    assert (other / "deep" / "file").exists()


def test_directories_that_nobody_may_change_go_too(tmp_path: Path) -> None:
    directory = tree(tmp_path / "trial")
    for path in (directory / "deep" / "deeper", directory / "deep", directory):
        path.chmod(0o500 if path is not directory else 0o700)
    yard = Graveyard()
    yard.bury(directory)
    yard.close()
    assert list(tmp_path.iterdir()) == []


def test_it_leaves_no_thread_and_may_be_used_again(tmp_path: Path) -> None:
    before = threading.active_count()
    yard = Graveyard()
    for _ in range(2):
        yard.bury(tree(tmp_path / "trial"))
        yard.close()
    assert threading.active_count() == before
    assert os.listdir(tmp_path) == []
