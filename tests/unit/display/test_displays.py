from __future__ import annotations

import io

import pytest
from rich.console import Console

from katibpy.core.phases import TrialPhase
from katibpy.display.displays import LiveDisplay, PlainDisplay, QuietDisplay, render
from katibpy.display.follower import Snapshot
from katibpy.testing import builders
from tests.unit.display.followed import Followed

FAILURE = "Trial has failed. Job message: no [bold]luck[/bold] \x1b[31mtoday\x1b[0m"


@pytest.fixture
def followed() -> Followed:
    return Followed(builders.experiment("tune", max_trial_count=8))


def busy(followed: Followed) -> Snapshot:
    """A snapshot with trials of all sorts."""
    follower = followed.follower()
    followed.end(followed.begin(lr=0.25), loss=0.123456789)
    followed.end(followed.begin(lr=0.5), loss=0.75)
    followed.end(followed.begin(lr=0.75), TrialPhase.FAILED, message=FAILURE)
    for _ in range(6):
        followed.report(followed.begin(lr=0.125), "0.5")
    followed.seconds = 65.0
    return follower.look()


def screen(snapshot: Snapshot, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(render(snapshot, width=width, running_rows=3))
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_display_fits_the_terminal(followed: Followed, width: int) -> None:
    lines = screen(busy(followed), width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 8


def test_the_display_shows_progress_best_running_and_failed(followed: Followed) -> None:
    lines = screen(busy(followed), 80)
    assert lines[0].startswith("tune ━")
    assert lines[0].endswith(" 3/8 1m05s, about 1m48s left")
    assert lines[1].startswith("  best     loss 0.123457 by tune-")
    assert lines[2] == "           lr=0.25"
    assert lines[3].startswith("  running  tune-")
    assert lines[3].endswith("  loss 0.5")
    assert lines[6] == "           and 3 more"
    assert lines[7] == "  failed   1: no [bold]luck[/bold] today"


def test_without_a_limit_there_is_no_bar() -> None:
    endless = Followed(builders.experiment("tune", max_trial_count=None))
    lines = screen(busy(endless), 80)
    assert lines[0] == "tune 3 trials 1m05s"


def test_plain_lines_have_neither_colours_nor_markup(followed: Followed) -> None:
    said: list[str] = []
    with PlainDisplay(said.append) as display:
        display.show([busy(followed)])
    assert [line.split()[0] for line in said] == ["[1/8]", "[2/8]", "[3/8]"]
    assert said[0].endswith(" Succeeded loss=0.123457 lr=0.25 (best)")
    assert said[1].endswith(" Succeeded loss=0.75 lr=0.5")
    assert said[2].endswith(" Failed lr=0.75: no [bold]luck[/bold] today")


def test_a_wait_for_the_algorithm_is_said_once(followed: Followed) -> None:
    said: list[str] = []
    waiting = Snapshot("tune", None, builders.minimize(), 8, busy(followed).tally, waits_for="no answer")
    with PlainDisplay(said.append) as display:
        for _ in range(3):
            display.show([waiting])
    assert said == ["tune: no answer"]


def test_a_quiet_display_shows_nothing_but_what_must_be_said(followed: Followed) -> None:
    said: list[str] = []
    with QuietDisplay(said.append) as display:
        display.show([busy(followed)])
        display.say("broken")
    assert said == ["broken"]


def test_a_live_display_leaves_only_what_was_said(followed: Followed) -> None:
    out = io.StringIO()
    console = Console(file=out, width=60, height=20, force_terminal=True, color_system=None, markup=False)
    with LiveDisplay(console) as display:
        display.show([busy(followed)])
        assert "3/8" in out.getvalue()
        display.say("a line [that] stays")
        display.show([busy(followed)])
    assert "a line [that] stays" in out.getvalue()
    shown, _, erased = out.getvalue().rpartition("tune-")
    assert "3/8" in shown
    assert "\x1b[2K" in erased
