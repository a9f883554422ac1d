"""Prints what an algorithm proposes, for comparison across processes.

    python -m katibpy.testing.algorithm_probe NAME SPACE TRIALS BATCH

prints a JSON list of assignments of a run on the named space of `algorithm_cases.SPACES`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from katibpy.testing.algorithm_cases import SPACES, experiment, play
from katibpy.testing.algorithm_subject import CatalogSubject, Subject


def probe(subject: Subject, arguments: Sequence[str]) -> str:
    """The text that is printed."""
    space, trials, batch = arguments
    posed = experiment(subject, SPACES[space])
    return json.dumps(play(subject, posed, trials=int(trials), batch=int(batch)).texts)


if __name__ == "__main__":
    sys.stdout.write(probe(CatalogSubject(sys.argv[1]), sys.argv[2:]))
