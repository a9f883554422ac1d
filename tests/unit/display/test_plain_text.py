from __future__ import annotations

from katibpy.display.plain_text import clean, cut, one_line


def test_what_a_trial_wrote_cannot_drive_the_terminal() -> None:
    assert clean("\x1b[31mred\x1b[0m\x07 and \x1b]0;title\x07plain") == "red and plain"
    assert clean("10%\r50%\r100%\nnext\r\nlast") == "100%\nnext\nlast"
    assert one_line("first\nsecond\tthird") == "first second    third"


def test_a_cut_text_ends_with_an_ellipsis() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
