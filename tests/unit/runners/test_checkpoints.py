from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.api.model import ObjectMeta, OwnerReference
from katibpy.api.trial import Trial, TrialSpec
from katibpy.runners.checkpoints import Checkpoints, CopyStopped, open_to_all
from katibpy.runners.graveyard import Graveyard


@pytest.fixture
def graveyard() -> Iterator[Graveyard]:
    made = Graveyard()
    yield made
    made.close()


@pytest.fixture
def checkpoints(tmp_path: Path, graveyard: Graveyard) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", graveyard)


def trial(name: str, *, parent: str = "", owner: str = "e1", uid: str = "", path: str = "/ckpt") -> Trial:
    meta = ObjectMeta(
        name=name,
        uid=uid or f"uid-{name}",
        labels={CHECKPOINT_FROM_LABEL: parent} if parent else {},
        owner_references=(OwnerReference(kind="Experiment", name="e", uid=owner),),
    )
    return Trial(metadata=meta, spec=TrialSpec(checkpoint_path=path))


def never() -> bool:
    return False


def place_of(checkpoints: Checkpoints, owner: Trial) -> Path:
    place = checkpoints.directory_of(owner)
    assert place is not None
    return place


def begun(checkpoints: Checkpoints, started: Trial) -> Path:
    assert checkpoints.begin(started, is_over=never) == ""
    return place_of(checkpoints, started)


def test_a_trial_without_a_path_has_no_directory(checkpoints: Checkpoints, tmp_path: Path) -> None:
    plain = trial("a", path="")
    assert checkpoints.directory_of(plain) is None
    assert checkpoints.begin(plain, is_over=never) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_trial_without_a_parent_begins_with_an_empty_directory_of_its_own(checkpoints: Checkpoints) -> None:
    first, second = begun(checkpoints, trial("a")), begun(checkpoints, trial("b"))
    assert first != second
    assert list(first.iterdir()) == []
    for path in (first, first.parent, first.parent.parent):
        assert path.stat().st_mode & 0o077 == 0


def test_a_child_begins_with_a_copy_that_is_its_own(checkpoints: Checkpoints) -> None:
    parent = begun(checkpoints, trial("parent"))
    (parent / "deep" / "er").mkdir(parents=True)
    (parent / "deep" / "er" / "model").write_bytes(b"weights")
    (parent / "deep" / "er" / "model").chmod(0o640)
    child = begun(checkpoints, trial("child", parent="parent"))
    copied = child / "deep" / "er" / "model"
    assert (copied.read_bytes(), copied.stat().st_mode & 0o777) == (b"weights", 0o640)
    copied.write_bytes(b"other")
    assert (parent / "deep" / "er" / "model").read_bytes() == b"weights"
    assert sorted(path.name for path in child.parent.iterdir()) == sorted((parent.name, child.name))


def test_links_are_copied_as_links_and_those_inside_point_into_the_copy(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    parent = begun(checkpoints, trial("parent"))
    (parent / "step-2").write_text("two")
    (parent / "latest").symlink_to("step-2")
    (parent / "whole").symlink_to(parent / "step-2")
    (parent / "away").symlink_to(outside)
    (parent / "dangling").symlink_to("nowhere")
    child = begun(checkpoints, trial("child", parent="parent"))
    assert os.readlink(child / "latest") == "step-2"
    assert os.readlink(child / "whole") == str(child / "step-2")
    assert os.readlink(child / "away") == str(outside)
    assert os.readlink(child / "dangling") == "nowhere"


def test_what_is_neither_file_nor_directory_is_left_out(checkpoints: Checkpoints) -> None:
    parent = begun(checkpoints, trial("parent"))
    os.mkfifo(parent / "pipe")
    (parent / "model").write_text("m")
    child = begun(checkpoints, trial("child", parent="parent"))
    assert [path.name for path in child.iterdir()] == ["model"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_parent_that_left_nothing_is_said(checkpoints: Checkpoints, is_there: bool) -> None:
    if is_there:
        begun(checkpoints, trial("parent"))
    child = trial("child", parent="parent")
    notice = checkpoints.begin(child, is_over=never)
    assert notice == "trial parent left no checkpoints, so this one begins with an empty directory"
    assert list(place_of(checkpoints, child).iterdir()) == []


def test_a_parent_of_another_experiment_is_none(checkpoints: Checkpoints) -> None:
    (begun(checkpoints, trial("parent", owner="other")) / "model").write_text("m")
    assert checkpoints.begin(trial("child", parent="parent"), is_over=never).startswith(
        "trial parent left no"
    )


def test_names_that_begin_alike_are_told_apart(checkpoints: Checkpoints) -> None:
    (begun(checkpoints, trial("run-1-long")) / "model").write_text("wrong")
    (begun(checkpoints, trial("run-1")) / "model").write_text("right")
    child = begun(checkpoints, trial("child", parent="run-1"))
    assert (child / "model").read_text() == "right"


def test_starting_again_takes_the_parents_and_nothing_of_what_was_there(checkpoints: Checkpoints) -> None:
    (begun(checkpoints, trial("parent")) / "model").write_text("parents")
    child = trial("child", parent="parent")
    place = begun(checkpoints, child)
    (place / "model").write_text("half trained")
    (place / "other").write_text("x")
    draft = place.with_name(f".{place.name}.copied")
    draft.mkdir()
    (draft / "half a copy").write_text("x")
    assert begun(checkpoints, child) == place
    assert {path.name: path.read_text() for path in place.iterdir()} == {"model": "parents"}
    assert not draft.exists()


def test_a_copy_that_is_stopped_leaves_nothing(checkpoints: Checkpoints) -> None:
    parent = begun(checkpoints, trial("parent"))
    for number in range(5):
        (parent / str(number)).write_text("m")
    child, asked = trial("child", parent="parent"), iter(range(100))
    with pytest.raises(CopyStopped):
        checkpoints.begin(child, is_over=lambda: next(asked) >= 3)
    assert [path.name for path in parent.parent.iterdir()] == [parent.name]


def test_a_copy_that_does_not_fit_leaves_nothing(checkpoints: Checkpoints) -> None:
    parent = begun(checkpoints, trial("parent"))
    (parent / "small").write_bytes(b"m")
    (parent / "zz-large").write_bytes(b"m" * 100_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            checkpoints.begin(trial("child", parent="parent"), is_over=never)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in parent.parent.iterdir()] == [parent.name]


def test_the_last_directory_of_an_experiment_takes_the_experiments_along(
    checkpoints: Checkpoints, graveyard: Graveyard, tmp_path: Path
) -> None:
    one, two = trial("a"), trial("b")
    (begun(checkpoints, one) / "model").write_text("m")
    begun(checkpoints, two)
    assert len(checkpoints.names_of("e1")) == 2
    assert checkpoints.discard(one)
    assert not checkpoints.discard(one)
    assert len(checkpoints.names_of("e1")) == 1
    assert checkpoints.discard(two)
    assert checkpoints.names_of("e1") == ()
    graveyard.close()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_an_earlier_program_was_removing_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints" / ".a-0123456789.123-0.removed"
    left.mkdir(parents=True)
    yard = Graveyard()
    Checkpoints(tmp_path / "checkpoints", yard)
    yard.close()
    assert not left.exists()


def test_opening_lets_every_user_write_and_follows_no_link(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "deep").mkdir(parents=True, mode=0o700)
    (inside / "deep" / "model").touch(mode=0o600)
    outside.touch(mode=0o600)
    (inside / "link").symlink_to(outside)
    open_to_all(inside)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (inside, inside / "deep", outside)}
    assert modes == {"inside": 0o777, "deep": 0o777, "outside": 0o600}
    assert (inside / "deep" / "model").stat().st_mode & 0o777 == 0o666
