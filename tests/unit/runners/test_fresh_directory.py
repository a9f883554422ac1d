from __future__ import annotations

from pathlib import Path

from katibpy.runners.fresh_directory import renew


def test_a_directory_is_made_for_its_user_only(tmp_path: Path) -> None:
    directory = tmp_path / "volumes" / "scratch"
    renew(directory)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_everything_in_it_goes_and_what_links_point_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    directory = tmp_path / "scratch"
    (directory / "deep" / "deeper").mkdir(parents=True)
    (directory / "deep" / "file").touch()
    (directory / "link").symlink_to(outside)
    renew(directory)
    assert list(directory.iterdir()) == []
    assert (outside / "precious").exists()


def test_the_metrics_file_in_it_stays(tmp_path: Path) -> None:
    directory = tmp_path / "scratch"
    metrics = directory / "logs" / "metrics.log"
    (metrics.parent / "events").mkdir(parents=True)
    metrics.write_text("loss=1\n")
    (directory / "checkpoint").touch()
    renew(directory, keep=metrics)
    assert [path.name for path in directory.rglob("*")] == ["logs", "metrics.log"]
    assert metrics.read_text() == "loss=1\n"


def test_a_link_that_took_its_place_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    directory = tmp_path / "scratch"
    directory.symlink_to(outside)
    renew(directory)
    assert not directory.is_symlink()
    assert list(directory.iterdir()) == []
    assert (outside / "precious").exists()
