"""Reading an output whose middle was dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.app.trial_output import OutputReader
from katibpy.collectors.output_gap import Gap, forget_gap

HEAD = b"one\ntwo\nthree\n"
TAIL = b"eight\nnine\nten\n"
DROPPED = 5000
NOTICE = b"[katib: 4.9 KiB of output dropped here]\n"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "output.log"
    path.write_bytes(HEAD + b"\0" * DROPPED + TAIL)
    Gap(path.stat().st_ino, len(HEAD), len(HEAD) + DROPPED).save(path)
    return path


def all_of(reader: OutputReader, size: int = 1 << 16) -> bytes:
    pieces = []
    while piece := reader.read(size):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [1, 3, 14, 15, 1 << 16])
def test_a_notice_stands_for_what_was_dropped(output: Path, size: int) -> None:
    with OutputReader(output) as reader:
        assert all_of(reader, size) == HEAD + NOTICE + TAIL


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, b""),
        (1, b"ten\n"),
        (3, TAIL),
        (4, NOTICE + TAIL),
        (5, b"three\n" + NOTICE + TAIL),
        (7, HEAD + NOTICE + TAIL),
        (99, HEAD + NOTICE + TAIL),
    ],
)
def test_the_last_lines_may_begin_before_the_gap(output: Path, count: int, shown: bytes) -> None:
    with OutputReader(output) as reader:
        reader.skip_to_last_lines(count)
        assert all_of(reader) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, b""), (1, b"c"), (2, b"b\nc"), (3, b"a\nb\nc"), (4, b"a\nb\nc")]
)
def test_the_last_line_need_not_be_ended(tmp_path: Path, count: int, shown: bytes) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"a\nb\nc")
    with OutputReader(path) as reader:
        reader.skip_to_last_lines(count)
        assert all_of(reader) == shown


def test_what_is_dropped_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"first\n" + b"x" * 2000 + b"\nlast\n")
    with OutputReader(path) as reader:
        assert reader.read(16) == b"first\n" + b"x" * 10
        Gap(path.stat().st_ino, 6, 2007).save(path)
        assert reader.read() == b"\n[katib: 1.9 KiB of output dropped here]\n"
        assert reader.read() == b"last\n"
        assert reader.read() == b""


def test_a_file_that_takes_its_place_has_no_gap(output: Path) -> None:
    with OutputReader(output) as reader:
        assert reader.read(1) == b"o"
        draft = output.with_suffix(".draft")
        draft.write_bytes(b"compacted\n" * 1000)
        draft.replace(output)
        with OutputReader(output) as other:
            assert all_of(other) == b"compacted\n" * 1000
        forget_gap(output)
        assert all_of(reader) == HEAD[1:] + NOTICE + TAIL
