"""How the report on an algorithm's promises looks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from katibpy.cli.output_table import terminal_width
from katibpy.display.plain_text import one_line

if TYPE_CHECKING:
    from katibpy.testing.algorithm_subject import Subject
    from katibpy.testing.algorithm_suite import Result

_WIDTH = 110
_WORDS = {"kept": "KEPT", "broken": "BROKEN", "not applicable": "-"}
_INDENT = 8


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the suite asks.

    Attributes:
        subject: the algorithm.
        place: where it is, in words.
        is_extended: whether it knows the extensions of the contract.
    """

    subject: Subject
    place: str
    is_extended: bool = True


def opening_line(target: Target) -> str:
    """Whom the report is about."""
    name = target.subject.name or "the algorithm"
    spoken = "" if target.is_extended else ", which speaks Katib's contract without the extensions"
    return f"{name}, from {target.place}{spoken}"


def paragraph(result: Result) -> str:
    """One promise: the verdict, and what was sent and came back where it was broken."""
    lines = _filled(result.check.promise, f"{_WORDS[result.verdict.value]:<{_INDENT}}")
    if result.sent or result.got or result.verdict.value == "broken":
        lines += _filled(f"promise {result.check.name}", " " * _INDENT)
    # Many details begin with the request, which is told below.
    detail = result.detail.removeprefix(result.sent.removeprefix("suggest: ")).lstrip(":, ")
    for label, text in (("because", detail), ("sent", result.sent), ("got", result.got)):
        if text and result.verdict.value == "broken":
            lines += _filled(text, f"{'':{_INDENT}}{label + ':':<9}")
        elif text:
            lines += _filled(f"does not apply: {text}", " " * _INDENT)
    return "\n".join(lines)


def closing_line(results: Sequence[Result], seconds: float) -> str:
    """How many are kept, broken and neither."""
    kept, broken = (sum(each.verdict.value == word for each in results) for word in ("kept", "broken"))
    others = len(results) - kept - broken
    verb = "does" if others == 1 else "do"
    return f"{kept} promises kept, {broken} broken, {others} {verb} not apply, in {seconds:.1f} s"


def document_of(target: Target, results: Sequence[Result]) -> dict[str, object]:
    """The report for programs."""
    return {
        "algorithm": target.subject.name,
        "place": target.place,
        "extended": target.is_extended,
        "results": [_entry(result) for result in results],
    }


def _entry(result: Result) -> dict[str, str]:
    entry = {
        "name": result.check.name,
        "promise": result.check.promise,
        "verdict": result.verdict.value,
        "detail": result.detail,
        "sent": result.sent,
        "got": result.got,
    }
    return {key: text for key, text in entry.items() if text}


def _filled(text: str, first: str) -> list[str]:
    # What a service says may hold anything, codes that move a cursor included.
    return textwrap.wrap(
        one_line(text),
        terminal_width() or _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
