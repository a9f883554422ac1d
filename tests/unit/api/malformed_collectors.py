"""Experiments with a bad metrics collector."""

from __future__ import annotations

from tests.unit.api.malformed_base import Case
from tests.unit.api.valid_cases import usual

_COLLECTOR = "spec.metricsCollectorSpec"
_FILE = f"{_COLLECTOR}.source.fileSystemPath"
_GROUPS = '{source: {filter: {metricsFormat: ["%s"]}}, collector: {kind: %s}}'


def _collect(spec: str) -> str:
    return usual("broken", f"metricsCollectorSpec: {spec}")


CASES: list[Case] = [
    # Metrics collector.
    Case(
        "unknown-collector",
        _collect("{collector: {kind: Stdout}}"),
        f"{_COLLECTOR}.collector.kind",
        ("StdOut, File", "'Stdout'", "did you mean `StdOut`"),
    ),
    Case(
        "former-collector",
        _collect("{collector: {kind: None}}"),
        f"{_COLLECTOR}.collector.kind",
        ("'None'", "Push"),
    ),
    Case(
        "file-of-wrong-kind",
        _collect("{source: {fileSystemPath: {path: /a, kind: Directory}}, collector: {kind: File}}"),
        f"{_FILE}.kind",
        ("must be File", "'Directory'"),
    ),
    Case(
        "relative-file",
        _collect("{source: {fileSystemPath: {path: a.log}}, collector: {kind: File}}"),
        f"{_FILE}.path",
        ("absolute path of the metrics file", "'a.log'"),
    ),
    Case(
        "bad-file-format",
        _collect("{source: {fileSystemPath: {path: /a, format: CSV}}, collector: {kind: File}}"),
        f"{_FILE}.format",
        ("TEXT, JSON", "'CSV'"),
    ),
    Case(
        "filter-for-json",
        _collect(
            '{source: {fileSystemPath: {path: /a, format: JSON}, filter: {metricsFormat: ["(a)(b)"]}}, '
            "collector: {kind: File}}"
        ),
        f"{_COLLECTOR}.source.filter",
        ("must not be set when the file's format is JSON", "(a)(b)"),
    ),
    Case(
        "events-of-wrong-kind",
        _collect("{source: {fileSystemPath: {path: /a, kind: File}}, collector: {kind: TensorFlowEvent}}"),
        f"{_FILE}.kind",
        ("must be Directory", "'File'"),
    ),
    Case(
        "relative-events",
        _collect("{source: {fileSystemPath: {path: a}}, collector: {kind: TensorFlowEvent}}"),
        f"{_FILE}.path",
        ("absolute path of the directory", "'a'"),
    ),
    Case(
        "events-with-format",
        _collect("{source: {fileSystemPath: {path: /a, format: TEXT}}, collector: {kind: TensorFlowEvent}}"),
        f"{_FILE}.format",
        ("must not be set for collector TensorFlowEvent", "'TEXT'"),
    ),
    Case(
        "bad-port",
        _collect("{source: {httpGet: {port: -1}}, collector: {kind: PrometheusMetric}}"),
        f"{_COLLECTOR}.source.httpGet.port",
        ("from 1 to 65535", "-1"),
    ),
    Case(
        "named-port",
        _collect("{source: {httpGet: {port: web}}, collector: {kind: PrometheusMetric}}"),
        f"{_COLLECTOR}.source.httpGet.port",
        ("from 1 to 65535", "'web'"),
    ),
    Case(
        "bad-scrape-path",
        _collect("{source: {httpGet: {path: stats}}, collector: {kind: PrometheusMetric}}"),
        f"{_COLLECTOR}.source.httpGet.path",
        ("must start with '/'", "'stats'"),
    ),
    Case(
        "no-custom-collector",
        _collect("{collector: {kind: Custom}}"),
        f"{_COLLECTOR}.collector.customCollector",
        ("must be a container", "got nothing"),
    ),
    Case(
        "custom-collector-without-image",
        _collect("{collector: {kind: Custom, customCollector: {name: a}}}"),
        f"{_COLLECTOR}.collector.customCollector.image",
        ("must be set", "None"),
    ),
    Case(
        "relative-custom-path",
        _collect(
            "{source: {fileSystemPath: {path: a, kind: File}}, "
            "collector: {kind: Custom, customCollector: {image: a}}}"
        ),
        f"{_FILE}.path",
        ("absolute path", "'a'"),
    ),
    Case(
        "bad-custom-kind",
        _collect(
            "{source: {fileSystemPath: {path: /a, kind: Invalid}}, "
            "collector: {kind: Custom, customCollector: {image: a}}}"
        ),
        f"{_FILE}.kind",
        ("File, Directory", "'Invalid'"),
    ),
    Case(
        "bad-filter",
        _collect(_GROUPS % ("(a", "File")),
        f"{_COLLECTOR}.source.filter.metricsFormat[0]",
        ("must be a regular expression", "'(a'"),
    ),
    Case(
        "bad-stdout-filter",
        _collect(_GROUPS % ("(a)(b))", "StdOut")),
        f"{_COLLECTOR}.source.filter.metricsFormat[0]",
        ("must be a regular expression", "'(a)(b))'"),
    ),
    Case(
        "filter-with-one-group",
        _collect(_GROUPS % ("loss=(.*)", "StdOut")),
        f"{_COLLECTOR}.source.filter.metricsFormat[0]",
        ("must have two groups", "with 1"),
    ),
]
