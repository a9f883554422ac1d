"""Which parser reads what: one row for each kind of collector and format of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from katibpy.api.experiment import CollectorKind, Experiment, MetricsCollectorSpec
from katibpy.collectors.filters import FilterParser, compile_filter
from katibpy.collectors.json_lines import JsonLinesParser
from katibpy.collectors.parser import Parser
from katibpy.collectors.text import TextParser
from katibpy.errors import FieldError, Unsupported

TEXT = "TEXT"
JSON = "JSON"

ParserFactory = Callable[[Sequence[str], Sequence[str]], Parser]
"""Makes a parser for the wanted metric names and the filters of the Experiment."""


@dataclass(frozen=True, slots=True)
class Row:
    """One format that can be read.

    Attributes:
        name: short name of the format.
        kind: kind of collector that a user writes.
        format: format of the metrics file; empty when there is no choice.
        reads_file: whether it reads a metrics file instead of standard output.
        make: makes the parser.
    """

    name: str
    kind: CollectorKind
    format: str
    reads_file: bool
    make: ParserFactory


def _text_parser(metrics: Sequence[str], filters: Sequence[str]) -> Parser:
    return FilterParser(metrics, filters) if filters else TextParser(metrics)


def _json_parser(metrics: Sequence[str], filters: Sequence[str]) -> Parser:
    return JsonLinesParser(metrics)


ROWS: tuple[Row, ...] = (
    Row("stdout", CollectorKind.STDOUT, "", False, _text_parser),
    Row("text", CollectorKind.FILE, TEXT, True, _text_parser),
    Row("json", CollectorKind.FILE, JSON, True, _json_parser),
)

LATER: Mapping[str, str] = {
    CollectorKind.TENSORFLOW_EVENT: "reading event files is not part of this version yet",
    CollectorKind.PROMETHEUS: "scraping a Prometheus endpoint is not part of this version yet",
    CollectorKind.CUSTOM: "it runs a container of its own beside the trial, which needs Kubernetes",
    CollectorKind.PUSH: "there is no service yet that a trial could push its metrics to",
    CollectorKind.NONE: "nothing would collect the objective; its later name is Push",
}
"""Known kinds that nothing reads yet, each with its reason."""

_KIND_PATH = "spec.metricsCollectorSpec.collector.kind"
_SOURCE_PATH = "spec.metricsCollectorSpec.source"


def row_of(spec: MetricsCollectorSpec) -> Row:
    """The row that reads what the spec describes.

    Raises:
        Unsupported: none does.
    """
    kind = (spec.collector.kind if spec.collector is not None else "") or CollectorKind.STDOUT
    path = spec.source.file_system_path if spec.source is not None else None
    wanted = (path.format if path is not None else "") or TEXT
    for row in ROWS:
        if row.kind == kind and (not row.format or row.format == wanted):
            return row
    if kind == CollectorKind.FILE:
        formats = " or ".join(row.format for row in ROWS if row.kind == kind)
        raise Unsupported(f"metrics files must be of format {formats}, got {wanted!r}")
    kinds = " and ".join(sorted({row.kind.value for row in ROWS}))
    reason = LATER.get(kind, "there is no such kind")
    raise Unsupported(f"collector kind {kind} cannot be used: {reason}; {kinds} can")


def filters_of(spec: MetricsCollectorSpec) -> tuple[str, ...]:
    """The expressions that the spec gives, () when the default format is meant."""
    found = spec.source.filter if spec.source is not None else None
    return tuple(each for each in found.metrics_format if each) if found is not None else ()


def parser_for(spec: MetricsCollectorSpec, metrics: Sequence[str]) -> Parser:
    """A parser for one trial.

    Raises:
        Unsupported: nothing reads what the spec describes, or a filter is not valid.
    """
    try:
        return row_of(spec).make(metrics, filters_of(spec))
    except ValueError as error:
        raise Unsupported(f"a metrics filter {error}") from error


def check_collectable(experiment: Experiment) -> tuple[FieldError, ...]:
    """What of the metrics collector nothing here can honour; () when all is well."""
    spec = experiment.spec.metrics_collector_spec or MetricsCollectorSpec()
    errors = []
    try:
        row_of(spec)
    except Unsupported as error:
        file = spec.collector is not None and spec.collector.kind == CollectorKind.FILE
        errors.append(FieldError(f"{_SOURCE_PATH}.fileSystemPath.format" if file else _KIND_PATH, str(error)))
    for index, expression in enumerate(filters_of(spec)):
        try:
            compile_filter(expression)
        except ValueError as error:
            errors.append(FieldError(f"{_SOURCE_PATH}.filter.metricsFormat[{index}]", str(error)))
    return tuple(errors)
