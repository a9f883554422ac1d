"""Why the objective of a trial never appeared: what did appear, and what to change so that it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from katibpy.api.experiment import CollectorKind, MetricsCollectorSpec
from katibpy.api.paths import nearest
from katibpy.core.explanation.facts import TrialFacts
from katibpy.core.explanation.finding import listed
from katibpy.core.explanation.trial_failure import TrialFailure

NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_SEEN = "metrics that did appear: "
_SPECIAL = re.compile(r"([.^$*+?{}\[\]\\|()])")
_BETWEEN = r"""(?P<between>["'\])]{0,2}\s*(?:->|=>|:=|[:=|,]|is|of|at)?\s*(?:\w*\()?["'\[(]?)"""
_NO_NUMBER = r"\s*=\s*(?P<value>[^\s,;]+)"
_FILTER_PATH = "spec.metricsCollectorSpec.source.filter.metricsFormat"


@dataclass(frozen=True, slots=True)
class MissingMetric:
    """What a trial without its objective shows.

    Attributes:
        names: of the metrics that did appear.
        problem: what kept the collector from reading; "" when nothing did.
    """

    names: tuple[str, ...]
    problem: str


def missing_metric(failure: TrialFailure) -> MissingMetric:
    """Reads what the Trial's condition says."""
    parts = failure.message.split("; ")
    names = next((part.removeprefix(_SEEN) for part in parts if part.startswith(_SEEN)), "")
    others = [part for part in parts[1:] if not part.startswith((_SEEN, "no other metric"))]
    return MissingMetric(tuple(name for name in names.split(", ") if name), "; ".join(others))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a metric is missing.

    Attributes:
        what: the end of a sentence that begins with the fact.
        evidence: lines that show it.
        advice: what to change.
    """

    what: str
    evidence: tuple[str, ...]
    advice: str


def cause_of(facts: TrialFacts, failure: TrialFailure) -> Cause:
    """Why the objective never appeared, the likeliest cause first."""
    spec = facts.trial.spec
    name, found = spec.objective.objective_metric_name, missing_metric(failure)
    lines = _lines(facts, failure)
    if found.problem:
        return Cause(found.problem, _numbered(lines), _file_advice(spec.metrics_collector, found.problem))
    near = alike_name(name, found.names)
    if near is not None:
        return Cause(
            f"the trial reports {near!r} instead",
            (f"metrics that did appear: {listed(found.names, 10)}", *_numbered(_mentioning(lines, near))),
            f"set spec.objective.objectiveMetricName to {near}, or have the program print {name}=VALUE",
        )
    looking_alike = _cause_in_line(name, lines, spec.metrics_collector)
    if looking_alike is not None:
        return looking_alike
    return _nothing_alike(name, found, lines, spec.metrics_collector)


def alike_name(name: str, names: Sequence[str]) -> str | None:
    """The one of several names that most likely means the same."""
    plain = _plain(name)
    for each in names:
        if _plain(each) == plain:
            return each
    parts = [each for each in names if _is_part(plain, _plain(each))]
    return parts[0] if parts else nearest(name, names)


def suggested_filter(name: str, line: str) -> str | None:
    """A filter in RE2's syntax by which the value is found in a line that names the metric otherwise."""
    match = re.search(rf"(?<![\w-]){re.escape(name)}{_BETWEEN}(?P<number>{NUMBER})(?![\w.]*\w)", line)
    if match is None:
        return None
    if not match["between"]:
        return None
    between = r"\s+" if match["between"].isspace() else re.sub(r"\s+", r"\\s*", _escaped(match["between"]))
    found = f"({_escaped(name)}){between}({NUMBER})"
    tried = re.search(found, line)
    return found if tried is not None and tried[2] == match["number"] else None


def _cause_in_line(
    name: str, lines: Sequence[tuple[int, str]], collector: MetricsCollectorSpec
) -> Cause | None:
    """What a line shows that names the metric, but not in a form that is read."""
    given = _filters(collector)
    for number, line in lines:
        found = suggested_filter(name, line)
        if found is None or (not given and re.search(rf"{re.escape(name)}\s*=\s*{NUMBER}", line)):
            continue
        what = f"a line names it in another form than {name}=VALUE"
        if given:
            what = f"a line names it, but the filter does not match it: {listed(given)}"
        # JSON's way to write a text is a way of YAML too, whatever the expression holds.
        advice = f"have the program print {name}=VALUE, or set {_FILTER_PATH}: [{json.dumps(found)}]"
        return Cause(what, _numbered([(number, line)]), advice)
    for number, line in lines:
        match = re.search(rf"(?<![\w-]){re.escape(name)}{_NO_NUMBER}", line)
        if match is not None and not re.fullmatch(NUMBER, match["value"]):
            return Cause(
                f"the value that is printed for it is no number: {match['value']!r}",
                _numbered([(number, line)]),
                f"have the program print a plain number: {name}=0.123",
            )
    for number, line in lines:
        other = re.search(rf"(?i:{re.escape(name)})(?=\s*[:=])", line)
        if other is not None and other[0] != name:
            return Cause(
                f"a line names {other[0]!r}, and names are told apart by case",
                _numbered([(number, line)]),
                f"set spec.objective.objectiveMetricName to {other[0]}, or print {name}=VALUE",
            )
    return None


def _nothing_alike(
    name: str, found: MissingMetric, lines: Sequence[tuple[int, str]], collector: MetricsCollectorSpec
) -> Cause:
    form = "matched one of the filters" if _filters(collector) else f"had the form {name}=VALUE"
    evidence = _numbered(lines[-3:])
    if found.names:
        return Cause(
            "only others did",
            (f"metrics that did appear: {listed(found.names, 10)}", *evidence),
            f"have the program print {name}=VALUE, or set spec.objective.objectiveMetricName to one of these",
        )
    if not lines:
        return Cause(
            "the trial printed nothing",
            (),
            f"have the program print {name}=VALUE, and keep its standard output open; or write it to a file, "
            "and name that in spec.metricsCollectorSpec (collector.kind: File)",
        )
    return Cause(f"no line {form}", evidence, f"have the program print {name}=VALUE, one report a line")


def _file_advice(collector: MetricsCollectorSpec, problem: str) -> str:
    if collector.collector is not None and collector.collector.kind == CollectorKind.FILE:
        if "no JSON objects" in problem:
            return "have the program write one JSON object a line, or set fileSystemPath.format to TEXT"
        return (
            "have the program write its metrics to the path that spec.metricsCollectorSpec names, or to the "
            "one in its environment variable KATIB_METRICS_FILE"
        )
    return "see `katib logs`"


def _escaped(text: str) -> str:
    # Not `re.escape`, which puts a backslash before blanks and others that RE2 has no escape for.
    return _SPECIAL.sub(r"\\\1", text)


def _filters(collector: MetricsCollectorSpec) -> tuple[str, ...]:
    source = collector.source
    return source.filter.metrics_format if source is not None and source.filter is not None else ()


def _lines(facts: TrialFacts, failure: TrialFailure) -> list[tuple[int, str]]:
    """Lines with their numbers, where those are known; lines that hold the name first."""
    known = [*facts.mentions]
    said = {line for _, line in known}
    return [*known, *((0, line) for line in (facts.output or failure.lines) if line not in said)]


def _mentioning(lines: Iterable[tuple[int, str]], name: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in lines if name in line][:2]


def _numbered(lines: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(f"line {number}: {line}" if number else line for number, line in list(lines)[:3])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _is_part(plain: str, other: str) -> bool:
    """Whether one is the other's beginning or end: `acc` and `accuracy`, `loss` and `val_loss`."""
    short, long = sorted((plain, other), key=len)
    return len(short) > 2 and (long.startswith(short) or long.endswith(short))
