"""Makes a trial's checkpoint directory before its first attempt, and tells people about it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from katibpy.api.lineage import parent_of
from katibpy.api.trial import Trial
from katibpy.core.runs import RunState
from katibpy.runners.checkpoints import CopyStopped
from katibpy.runners.execution import CannotStart
from katibpy.runners.local_host import Host
from katibpy.runners.outcome import START_FAILED, waiting_state

logger = logging.getLogger(__name__)

_SHOW_AFTER_SECONDS = 1.0


def begin_checkpoints(
    trial: Trial,
    host: Host,
    *,
    log: Path,
    show: Callable[[RunState], None],
    is_over: Callable[[], bool],
) -> None:
    """Makes the directory, a copy of the parent's if the trial has one; returns early when it is over.

    Args:
        trial: which has not been started.
        host: has the directories.
        log: the trial's output, which begins with what is unusual about them.
        show: shows that the trial waits for a copy, when that takes long.
        is_over: tells when the trial is to start no more.

    Raises:
        CannotStart: the directory cannot be made.
    """
    parent = parent_of(trial.metadata.labels)
    waiting = waiting_state(
        trial, "CopiesCheckpoints", f"the checkpoints of trial {parent} are being copied for it"
    )
    alarm = host.alarms.after(_SHOW_AFTER_SECONDS, lambda: show(waiting)) if parent else None
    try:
        notice = host.checkpoints.begin(trial, is_over=is_over)
    except CopyStopped:
        return
    except OSError as error:
        what = f"the checkpoints of trial {parent}" if parent else "an empty checkpoint directory"
        message = f"the trial cannot begin with {what}: {error}"
        raise CannotStart(message, reason=START_FAILED) from error
    finally:
        if alarm is not None:
            alarm.cancel()
    if notice:
        logger.warning("%s/%s: %s", *trial.key[1:], notice)
        with open(log, "a", encoding="utf-8", opener=_opener) as file:
            file.write(f"katib: {notice}\n")


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
