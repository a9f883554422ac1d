"""Rules for how metrics are collected."""

from __future__ import annotations

import re
import warnings

from katibpy.api.experiment import (
    CollectorKind,
    FileSystemPath,
    HttpGet,
    MetricsCollectorSpec,
    MetricsSource,
)
from katibpy.api.problems import Problems, shown

KINDS = tuple(kind.value for kind in CollectorKind if kind is not CollectorKind.NONE)
FORMATS = ("TEXT", "JSON")
_PATH = "spec.metricsCollectorSpec"
_FILE = f"{_PATH}.source.fileSystemPath"
_FILTER = f"{_PATH}.source.filter"
_GET = f"{_PATH}.source.httpGet"
_MAX_PORT = 65535


def check_collector(spec: MetricsCollectorSpec | None, problems: Problems) -> None:
    """Check `spec.metricsCollectorSpec`, with defaults filled in."""
    if spec is None or spec.collector is None:
        problems.add(f"{_PATH}.collector", "must be set, got nothing")
        return
    source = spec.source or MetricsSource()
    kind = spec.collector.kind
    if kind == CollectorKind.NONE:
        problems.add(
            f"{_PATH}.collector.kind", "must be one of the kinds in use, got 'None'; Push took its place"
        )
        return
    if not problems.one_of(f"{_PATH}.collector.kind", kind, KINDS):
        return
    file = source.file_system_path or FileSystemPath()
    match kind:
        case CollectorKind.FILE:
            _file(file, problems)
        case CollectorKind.TENSORFLOW_EVENT:
            _event_directory(file, problems)
        case CollectorKind.PROMETHEUS:
            _http_get(source.http_get or HttpGet(), problems)
        case CollectorKind.CUSTOM:
            _custom(spec, source, problems)
    _filters(source, kind, file, problems)


def _absolute(file: FileSystemPath, what: str, problems: Problems) -> None:
    if not file.path:
        problems.add(f"{_FILE}.path", f"must be the absolute path of the {what}, got nothing")
    elif not file.path.startswith("/"):
        problems.add(f"{_FILE}.path", f"must be the absolute path of the {what}, got {shown(file.path)}")


def _is_kind(file: FileSystemPath, collector: str, wanted: str, problems: Problems) -> None:
    if file.kind != wanted:
        problems.add(f"{_FILE}.kind", f"must be {wanted} for collector {collector}, got {shown(file.kind)}")


def _file(file: FileSystemPath, problems: Problems) -> None:
    _is_kind(file, "File", "File", problems)
    _absolute(file, "metrics file", problems)
    problems.one_of(f"{_FILE}.format", file.format, FORMATS)


def _event_directory(file: FileSystemPath, problems: Problems) -> None:
    _is_kind(file, "TensorFlowEvent", "Directory", problems)
    _absolute(file, "directory with event files", problems)
    if file.format:
        problems.add(
            f"{_FILE}.format", f"must not be set for collector TensorFlowEvent, got {shown(file.format)}"
        )


def _http_get(get: HttpGet, problems: Problems) -> None:
    port = str(get.port or "")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= _MAX_PORT):
        problems.add(f"{_GET}.port", f"must be a number from 1 to {_MAX_PORT}, got {shown(get.port)}")
    if not get.path.startswith("/"):
        problems.add(f"{_GET}.path", f"must start with '/', got {shown(get.path)}")
    if get.scheme:
        problems.one_of(f"{_GET}.scheme", get.scheme, ("HTTP", "HTTPS"))


def _custom(spec: MetricsCollectorSpec, source: MetricsSource, problems: Problems) -> None:
    path = f"{_PATH}.collector.customCollector"
    container = spec.collector.custom_collector if spec.collector else None
    if not container:
        problems.add(path, "must be a container for collector Custom, got nothing")
    elif not isinstance(container.get("image"), str) or not container["image"]:
        problems.add(f"{path}.image", f"must be set, got {shown(container.get('image'))}")
    if source.file_system_path is not None:
        problems.one_of(f"{_FILE}.kind", source.file_system_path.kind, ("File", "Directory"))
        _absolute(source.file_system_path, "file or directory", problems)


def _filters(source: MetricsSource, kind: str, file: FileSystemPath, problems: Problems) -> None:
    patterns = source.filter.metrics_format if source.filter else ()
    path = f"{_FILTER}.metricsFormat"
    if patterns and kind == CollectorKind.FILE and file.format == "JSON":
        problems.add(
            _FILTER,
            f"must not be set when the file's format is JSON, got {shown(list(patterns))}",
        )
        return
    for index, pattern in enumerate(patterns):
        try:
            with warnings.catch_warnings():
                # `[[` and the like only warn; whoever wrote it means it.
                warnings.simplefilter("ignore")
                groups = re.compile(pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            problems.add(f"{path}[{index}]", f"must be a regular expression, got {shown(pattern)}: {error}")
            continue
        if groups < 2:
            problems.add(
                f"{path}[{index}]",
                f"must have two groups in parentheses, the metric's name and its value, got {shown(pattern)} "
                f"with {groups}",
            )
