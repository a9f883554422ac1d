"""What `katib run` shows while it runs: a live display on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from katibpy.core.phases import TrialPhase
from katibpy.core.records import BestTrial
from katibpy.display.follower import FinishedTrial, Snapshot, metric_of
from katibpy.display.plain_text import cut, one_line
from katibpy.display.values import assignments, counted, duration, picked, short_number

_LABEL_WIDTH = 9
_MIN_BAR = 10
_FEW_EXPERIMENTS = 3


class Display(Protocol):
    """Shows snapshots. A context manager; nothing is shown after it."""

    def __enter__(self) -> Self:
        """Begins to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the screen as the next output expects it."""
        ...

    def show(self, snapshots: Sequence[Snapshot]) -> None:
        """Shows where every experiment is now."""
        ...

    def say(self, text: str) -> None:
        """Prints a line that stays."""
        ...


class QuietDisplay:
    """Shows nothing; log lines of errors still come through `say`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, snapshots: Sequence[Snapshot]) -> None:
        """Does nothing."""

    def say(self, text: str) -> None:
        """Prints a line."""
        self._write(text)


class PlainDisplay(QuietDisplay):
    """One line for each trial that ends."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(write)
        self._waits: dict[str, str] = {}

    def show(self, snapshots: Sequence[Snapshot]) -> None:
        """Prints a line for each trial that ended since the last call."""
        for snapshot in snapshots:
            if snapshot.waits_for and self._waits.get(snapshot.name) != snapshot.waits_for:
                self._write(one_line(f"{snapshot.name}: {snapshot.waits_for}"))
            self._waits[snapshot.name] = snapshot.waits_for
            for trial in snapshot.news:
                self._write(trial_line(trial, snapshot))


class LiveDisplay:
    """A display that redraws itself in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="ellipsis")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshots: Sequence[Snapshot]) -> None:
        """Redraws."""
        width = self._console.width
        rows = max(1, (self._console.height - 2) // max(len(snapshots), 1) - 5)
        blocks = [render(each, width=width, running_rows=rows, alone=len(snapshots)) for each in snapshots]
        self._live.update(Group(*blocks), refresh=True)

    def say(self, text: str) -> None:
        """Prints a line above the display."""
        self._console.print(Text(one_line(text)), soft_wrap=True)


def trial_line(trial: FinishedTrial, snapshot: Snapshot) -> str:
    """`[3/12] NAME Succeeded accuracy=0.97 lr=0.1 (best)`."""
    record, name = trial.record, snapshot.objective.objective_metric_name
    value = metric_of(record.metrics, name)
    limit = "" if snapshot.limit is None else f"/{snapshot.limit}"
    parts = [
        f"[{trial.place}{limit}]",
        record.name,
        record.phase.value if record.phase else "",
        f"{name}={short_number(value)}" if value is not None else "",
        assignments(record.assignments),
        "(best)" if trial.is_best else "",
    ]
    line = " ".join(part for part in parts if part)
    return one_line(f"{line}: {trial.message}" if trial.message else line)


def render(snapshot: Snapshot, *, width: int, running_rows: int, alone: int = 1) -> RenderableType:
    """An experiment as a block of lines, none longer than the width."""
    lines: list[RenderableType] = [_head(snapshot, width)]
    room = width - _LABEL_WIDTH - 2
    if snapshot.waits_for:
        lines.append(_line("waiting", one_line(snapshot.waits_for), room))
    if snapshot.best is not None:
        lines.extend(_best(snapshot.best, snapshot, room, with_parameters=alone <= _FEW_EXPERIMENTS))
    lines.extend(_running(snapshot, room, running_rows))
    failed = snapshot.tally.count(TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
    if failed:
        last = f": {snapshot.last_failure}" if snapshot.last_failure else ""
        lines.append(_line("failed", one_line(f"{failed}{last}"), room, style="red"))
    return Group(*lines)


def _head(snapshot: Snapshot, width: int) -> RenderableType:
    finished, limit = snapshot.tally.finished, snapshot.limit
    counts = f"{finished}/{limit}" if limit is not None else counted(finished, "trial")
    clock = duration(int(snapshot.elapsed_seconds))
    if snapshot.phase is not None and snapshot.phase.is_finished:
        clock += f", {snapshot.phase.value.lower()}"
    elif snapshot.seconds_left is not None:
        clock += f", about {duration(round(snapshot.seconds_left))} left"
    name = cut(snapshot.name, max(width // 3, _MIN_BAR))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    bar = width - len(name) - len(counts) - len(clock) - 5
    if limit is None or bar < _MIN_BAR:
        grid.add_row(Text(name, "bold"), Text(counts), Text(clock, "dim"))
    else:
        grid.add_column(width=bar)
        grid.add_row(
            Text(name, "bold"),
            ProgressBar(limit, min(finished, limit), width=bar),
            Text(counts),
            Text(clock, "dim"),
        )
    return grid


def _best(best: BestTrial, snapshot: Snapshot, room: int, *, with_parameters: bool) -> list[RenderableType]:
    name = snapshot.objective.objective_metric_name
    metric = next((each for each in best.observation.metrics if each.name == name), None)
    text = "" if metric is None else short_number(picked(metric, snapshot.objective))
    lines: list[RenderableType] = [_line("best", f"{name} {text} by {best.name}", room, style="green")]
    if with_parameters and best.assignments:
        lines.append(_line("", one_line(assignments(best.assignments)), room))
    return lines


def _running(snapshot: Snapshot, room: int, rows: int) -> list[RenderableType]:
    shown = snapshot.running[:rows]
    if not shown:
        return []
    name = snapshot.objective.objective_metric_name
    longest = max(len(trial.name) for trial in shown)
    lines: list[RenderableType] = []
    for index, trial in enumerate(shown):
        value = f"{name} {short_number(trial.latest)}" if trial.latest else trial.phase.value.lower()
        text = f"{trial.name:{longest}}  {duration(int(trial.seconds)):>6}  {value}"
        lines.append(_line("" if index else "running", text, room))
    hidden = snapshot.running_count - len(shown)
    if hidden > 0:
        lines.append(_line("", f"and {hidden} more", room))
    return lines


def _line(label: str, text: str, room: int, *, style: str = "") -> RenderableType:
    line = Text(f"  {label:{_LABEL_WIDTH}}", "dim")
    line.append(cut(text, room - 1), style or "default not dim")
    return line
