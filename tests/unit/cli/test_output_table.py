from __future__ import annotations

from katibpy.cli.output_table import Column, table_lines

COLUMNS = (Column("NAME"), Column("PARAMETERS", is_flexible=True), Column("AGE", is_number=True))
ROWS = [("tune-1", "lr=0.1 momentum=0.9 optimizer=adam", "5s"), ("a-longer-name", "lr=0.25", "12m03s")]


def test_columns_are_aligned_and_numbers_stand_at_the_right() -> None:
    assert list(table_lines(COLUMNS, ROWS)) == [
        "NAME            PARAMETERS                              AGE",
        "tune-1          lr=0.1 momentum=0.9 optimizer=adam       5s",
        "a-longer-name   lr=0.25                              12m03s",
    ]


def test_only_flexible_columns_are_cut_to_the_terminal() -> None:
    lines = list(table_lines(COLUMNS, ROWS, width=45))
    assert max(map(len, lines)) == 45
    assert lines[1] == "tune-1          lr=0.1 momentum=0.9…       5s"
    assert lines[2].startswith("a-longer-name   lr=0.25 ")


def test_a_table_that_cannot_be_made_small_enough_keeps_its_names() -> None:
    lines = list(table_lines(COLUMNS, ROWS, width=10))
    assert lines[2].startswith("a-longer-name")


def test_a_table_without_rows_has_its_heading() -> None:
    assert list(table_lines(COLUMNS, [])) == ["NAME   PARAMETERS   AGE"]
