"""Progress in a notebook: one output of plain text that is replaced as things go on."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from katibpy.display.displays import QuietDisplay, render
from katibpy.display.follower import Snapshot

_WIDTH = 100
_RUNNING_ROWS = 8


def is_notebook() -> bool:
    """Whether this program is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookDisplay(QuietDisplay):
    """Redraws an output of the cell that is executed; what it showed last stays."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(write)
        self._handle: Any = None
        self._shown = ""

    def show(self, snapshots: Sequence[Snapshot]) -> None:
        """Redraws, if anything changed."""
        text = _text(snapshots)
        if text == self._shown:
            return
        self._shown = text
        content = {"text/plain": text}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)


def _text(snapshots: Sequence[Snapshot]) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=_WIDTH, no_color=True, force_terminal=False, force_jupyter=False, highlight=False
    )
    for snapshot in snapshots:
        console.print(render(snapshot, width=_WIDTH, running_rows=_RUNNING_ROWS, alone=len(snapshots)))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
