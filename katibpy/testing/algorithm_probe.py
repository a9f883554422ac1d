"""Tells what algorithms propose, for comparison across processes.

    python -m katibpy.testing.algorithm_probe

reads requests from its input, one a line, each a JSON list of texts `[NAME, SPACE, TRIALS, BATCH]`. It
answers each with a line: a JSON object whose `texts` are the assignments of a run of the algorithm on the
named space of `algorithm_cases.SPACES`, or whose `failure` says what went wrong. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

from katibpy.testing.algorithm_cases import SPACES, experiment, play
from katibpy.testing.algorithm_subject import CatalogSubject, Subject


def probe(subject: Subject, arguments: Sequence[str]) -> list[dict[str, str]]:
    """The assignments, for the arguments that follow the name."""
    space, trials, batch = arguments
    posed = experiment(subject, SPACES[space])
    return play(subject, posed, trials=int(trials), batch=int(batch)).texts


def _answer(request: str) -> dict[str, object]:
    name, *arguments = json.loads(request)
    try:
        return {"texts": probe(CatalogSubject(name), arguments)}
    except Exception:  # noqa: BLE001 - an algorithm may fail in any way; the others are still to be asked
        return {"failure": traceback.format_exc()}


def _serve() -> None:
    # What an algorithm prints must not stand among the answers.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for request in sys.stdin:
            answers.write(json.dumps(_answer(request)) + "\n")
            answers.flush()


if __name__ == "__main__":
    _serve()
