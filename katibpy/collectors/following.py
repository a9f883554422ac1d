"""One trial's metrics on their way from its files to the store."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

from katibpy.api.trial import Trial
from katibpy.collectors.catalog import Row, parser_for, row_of
from katibpy.collectors.followed_file import FollowedFile
from katibpy.collectors.output_cap import OutputCap
from katibpy.collectors.parser import Parser
from katibpy.collectors.reading import Reading
from katibpy.collectors.side_logs import SideLogs
from katibpy.core.records import ObservedValue
from katibpy.core.runs import CollectionState
from katibpy.errors import StoreError, Unsupported
from katibpy.ports import ObservationStore, TrialOutputs

logger = logging.getLogger(__name__)

BUSY_SECONDS = 0.05
IDLE_SECONDS = 0.5
PIECE = 1 << 20
LAST_LINES = 20
LONGEST_LAST_LINE = 500

_TAIL = 1 << 16
_LONGEST_RETRY_SECONDS = 5.0


class Following:
    """Follows the output of one trial. One thread at a time calls `step`; `state` may be read by any.

    Attributes:
        turn: held by whoever calls `step`.
        due: moment of the next step.
        state: how far it is.
        is_ending: whether the run has ended, so that the end of the file is the end of all.
        has_news: whether values of the objective were stored, or all was, since this was last reset.
        notified_at: when listeners were last told.
    """

    def __init__(
        self,
        trial: Trial,
        outputs: TrialOutputs | None,
        *,
        store: ObservationStore,
        output_limit: int | None = None,
    ) -> None:
        """Begins with the outputs; keeps standard output to so many bytes on the disk."""
        self.trial = trial
        self.turn = threading.Lock()
        self.due = 0.0
        self.state = CollectionState(is_attached=True)
        self.is_ending = False
        self.has_news = False
        self.notified_at = float("-inf")
        self._store = store
        self._uid = trial.metadata.uid or ""
        self._objective = trial.spec.objective.objective_metric_name
        self._interval = BUSY_SECONDS
        self._failures = 0
        self._pending: list[ObservedValue] = []
        self._has_objective = False
        self._is_read = False
        self._parser: Parser | None = None
        self._row: Row | None = None
        self._output: FollowedFile | None = None
        self._cap: OutputCap | None = None
        self._side_logs: SideLogs | None = None
        self._reading: Reading | None = None
        self._output_limit = output_limit
        self._note(self._prepare(outputs))

    def step(self, now: float, *, arrived: float) -> None:
        """Reads a piece, stores what it holds, and sets when to look again.

        Args:
            now: the moment, on the scale of `due`.
            arrived: the same in seconds since the epoch.
        """
        length = 0
        if not self._pending:
            is_ending = self.is_ending
            length = self._read(arrived)
            if is_ending and 0 < length < PIECE:
                # Probably all there was: looking once more now spares a step of its own and a second report.
                length = self._read(arrived)
            if not length and is_ending and not self._is_read:
                self._finish_reading(arrived)
        if self._pending and not self._ship():
            self._failures += 1
            self.due = now + min(BUSY_SECONDS * 2.0 ** min(self._failures, 30), _LONGEST_RETRY_SECONDS)
            return
        self._failures = 0
        self._cut(now)
        if self._is_read:
            self._conclude()
            self.due = float("inf")
        else:
            self._interval = BUSY_SECONDS if length else min(self._interval * 1.5, IDLE_SECONDS)
            self.due = now + (0.0 if self.is_ending or length == PIECE else self._interval)

    def close(self) -> None:
        """Closes the files."""
        for file in {self._output, self._source}:
            if file is not None:
                file.close()
        if self._side_logs is not None:
            self._side_logs.close()

    def _prepare(self, outputs: TrialOutputs | None) -> str:
        spec = self.trial.spec.metrics_collector
        objective = self.trial.spec.objective
        if outputs is None:
            return "the run's output is not on this machine"
        self._output = FollowedFile(outputs.stdout)
        if self._output_limit is not None:
            self._cap = OutputCap(outputs.stdout, limit=self._output_limit)
            if outputs.side_logs:
                self._side_logs = SideLogs(outputs.stdout.parent, outputs.side_logs, limit=self._output_limit)
        try:
            self._row = row_of(spec)
            metrics = (objective.objective_metric_name, *objective.additional_metric_names)
            self._parser = parser_for(spec, metrics)
        except Unsupported as error:
            return str(error)
        if not self._row.reads_file:
            self._reading = Reading(self._output, self._parser, cap=self._cap)
        elif outputs.metrics_path is None:
            return "the run has no metrics file"
        else:
            source = FollowedFile(outputs.metrics_path, offset=outputs.metrics_offset)
            self._reading = Reading(source, self._parser, cap=None)
        return ""

    @property
    def _source(self) -> FollowedFile | None:
        return None if self._reading is None else self._reading.source

    def _read(self, arrived: float) -> int:
        """Takes in the next piece; its length."""
        if self._output is not None:
            # Opened early: a trial may delete it before its last lines are asked for.
            self._output.open()
        if self._reading is None or self._is_read:
            return 0
        length, values = self._reading.step(PIECE, arrived=arrived)
        self._pending += values
        return length

    def _finish_reading(self, arrived: float) -> None:
        if self._reading is not None:
            self._pending += self._reading.end(arrived=arrived)
        self._is_read = True

    def _cut(self, now: float) -> None:
        """Drops what is too much of the outputs; no value is pending."""
        if self._reading is not None:
            self._reading.stored()
        if self._cap is not None and self._output is not None and self._output is not self._source:
            # Nobody reads it: it may be cut anywhere.
            self._cap.cut(self._output)
        if self._side_logs is not None:
            self._side_logs.cut(now)

    def _ship(self) -> bool:
        try:
            self._store.append(self._uid, self._pending)
        except StoreError as error:
            logger.warning("metrics of %s cannot be stored now: %s", self.trial.metadata.name, error)
            self._note(f"its metrics cannot be stored now: {error}")
            return False
        if any(value.metric == self._objective for value in self._pending):
            self.has_news = self._has_objective = True
        self._pending = []
        self._note("")
        return True

    def _note(self, problem: str) -> None:
        seen = self._parser.seen_names if self._parser is not None else ()
        if problem != self.state.problem or seen != self.state.seen_names:
            self.state = replace(self.state, problem=problem, seen_names=seen)

    def _conclude(self) -> None:
        tail = self._output.tail(_TAIL) if self._output is not None else b""
        seen = self._parser.seen_names if self._parser is not None else ()
        if self._cap is not None and self._output is not None and self._output.descriptor is not None:
            self._cap.compact(self._output.descriptor)
        if self._side_logs is not None:
            self._side_logs.compact()
        self.state = CollectionState(
            is_attached=True,
            is_drained=True,
            seen_names=seen,
            last_lines=last_lines(tail),
            problem=self._final_problem(),
        )
        self.has_news = True

    def _final_problem(self) -> str:
        if self._source is None or self._parser is None or self._row is None:
            return self.state.problem
        if self._source.problem:
            kind = "metrics" if self._row.reads_file else "output"
            return f"{kind} file {self._source.path}{self._template_name()} {self._source.problem}"
        skipped = self._parser.skipped_lines
        if skipped and not self._has_objective:
            what = "no JSON objects" if self._row.format == "JSON" else "too long to be read"
            return f"{skipped} lines of {self._source.path} are {what}"
        return ""

    def _template_name(self) -> str:
        """What the user calls the file, where that is something else."""
        source = self.trial.spec.metrics_collector.source
        file = source.file_system_path if source is not None else None
        if file is None or self._source is None or Path(file.path) == self._source.path:
            return ""
        return f" ({file.path} of the template)"


def last_lines(tail: bytes) -> tuple[str, ...]:
    """The last lines of an output, without empty ones and what a progress bar wrote over."""
    lines = []
    for line in tail.decode(errors="replace").split("\n"):
        shown = line.rstrip("\r").rpartition("\r")[2].rstrip()
        if shown:
            lines.append(shown[:LONGEST_LAST_LINE])
    return tuple(lines[-LAST_LINES:])
