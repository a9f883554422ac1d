from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from katibpy.errors import InputError
from katibpy.runners.free_disk import DEFAULT_FLOOR, DiskFloor, FreeDisk, parse_floor


@pytest.mark.parametrize(
    ("text", "on_a_tenth_of_a_terabyte"),
    [("2Gi", 2 << 30), ("500M", 500_000_000), ("5%", 5_000_000_000), ("2.5 %", 2_500_000_000), ("0", 0)],
)
def test_a_floor_is_a_size_or_a_part(text: str, on_a_tenth_of_a_terabyte: int) -> None:
    assert parse_floor(text).on(100_000_000_000) == on_a_tenth_of_a_terabyte


@pytest.mark.parametrize("text", ["", "much", "-1Gi", "101%", "%", "5%%"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"(5%), got {text!r}")):
        parse_floor(text)


def test_the_default_is_less_on_small_disks() -> None:
    assert DEFAULT_FLOOR.on(1 << 40) == 512 << 20
    assert DEFAULT_FLOOR.on(1 << 30) == (1 << 30) // 50


def test_a_disk_with_room_is_no_shortage(tmp_path: Path) -> None:
    assert FreeDisk(tmp_path, DiskFloor(1)).shortage() == ""
    assert FreeDisk(tmp_path, DiskFloor(0)).shortage() == ""


def test_a_shortage_tells_what_must_be_free_and_what_is(tmp_path: Path) -> None:
    said = FreeDisk(tmp_path, parse_floor("100%")).shortage()
    assert f"must be free on the disk of {tmp_path}, " in said
    total = shutil.disk_usage(tmp_path).total
    assert FreeDisk(tmp_path, DiskFloor(total)).shortage() != ""


def test_a_directory_that_is_gone_is_no_shortage(tmp_path: Path) -> None:
    assert FreeDisk(tmp_path / "gone", parse_floor("100%")).shortage() == ""
