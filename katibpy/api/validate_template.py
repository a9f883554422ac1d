"""Rules for the trial template: its source, its parameters and its conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from katibpy.api.conditions import compile_condition
from katibpy.api.experiment import ConfigMapSource, TrialParameter, TrialTemplate
from katibpy.api.paths import did_you_mean
from katibpy.api.problems import Problems, shown
from katibpy.api.template import (
    TRIAL_SPEC_PATH,
    find_placeholders,
    is_meta_reference,
    resolve_meta_reference,
)
from katibpy.api.validate_job import check_job
from katibpy.errors import ParseError

_PATH = "spec.trialTemplate"
_PARAMETERS = f"{_PATH}.trialParameters"


def check_template(template: TrialTemplate | None, parameters: Sequence[str], problems: Problems) -> None:
    """Check `spec.trialTemplate`.

    Args:
        template: with defaults filled in.
        parameters: names of `spec.parameters`; empty for an architecture search, whose algorithm decides
            what there is to refer to.
        problems: where broken rules go.
    """
    if template is None:
        problems.add(_PATH, "must be set, got nothing; say what every trial runs")
        return
    problems.require(f"{_PATH}.primaryContainerName", template.primary_container_name)
    _condition(template.success_condition, "successCondition", template, problems)
    _condition(template.failure_condition, "failureCondition", template, problems)
    entries = template.trial_parameters
    if entries is None:
        problems.add(_PARAMETERS, "must be set, got nothing; list what the template takes")
    else:
        _trial_parameters(entries, parameters, problems)
    _source(template, entries or (), problems)


def _condition(text: str, field: str, template: TrialTemplate, problems: Problems) -> None:
    path = f"{_PATH}.{field}"
    if not text:
        spec = template.trial_spec
        if spec is None or (spec.get("apiVersion") and spec.get("kind")):
            what = "from a ConfigMap" if spec is None else f"of kind {shown(spec['kind'])}"
            problems.add(path, f"must be set for a job {what}, because no usual one is known, got nothing")
        return
    try:
        compile_condition(text)
    except ParseError as error:
        problems.add(path, str(error))


def _trial_parameters(
    entries: Sequence[TrialParameter], parameters: Sequence[str], problems: Problems
) -> None:
    problems.distinct(_PARAMETERS, (entry.name for entry in entries), "name", ".name")
    problems.distinct(_PARAMETERS, (entry.reference for entry in entries), "reference", ".reference")
    for index, entry in enumerate(entries):
        where = f"{_PARAMETERS}[{index}]"
        if problems.require(f"{where}.name", entry.name) and set(entry.name) & {"{", "}"}:
            problems.add(f"{where}.name", f"must not contain '{{' or '}}', got {shown(entry.name)}")
        if not problems.require(f"{where}.reference", entry.reference):
            continue
        known = is_meta_reference(entry.reference) or not parameters or entry.reference in parameters
        if not known:
            problems.add(
                f"{where}.reference",
                f"must be the name of one of spec.parameters ({_listed(parameters)}) or ${{trialSpec...}}, "
                f"got {shown(entry.reference)}{did_you_mean(entry.reference, parameters)}",
            )
    referred = {entry.reference for entry in entries}
    for index, name in enumerate(parameters):
        if name and name not in referred:
            problems.add(
                f"spec.parameters[{index}].name",
                f"must be the reference of one of {_PARAMETERS}, got {shown(name)}, which no trial would "
                "see; add an entry or remove the parameter",
            )


def _source(template: TrialTemplate, entries: Sequence[TrialParameter], problems: Problems) -> None:
    if template.trial_spec is not None and template.config_map is not None:
        problems.add(_PATH, "must have either trialSpec or configMap, got both; remove one")
    elif template.config_map is not None:
        _config_map(template.config_map, problems)
    elif template.trial_spec is None:
        problems.add(TRIAL_SPEC_PATH, "must be set unless there is a configMap, got neither")
    if template.trial_spec is not None:
        _placeholders(template.trial_spec, entries, problems)
        _metadata(template.trial_spec, problems)
        _kind(template.trial_spec, template, problems)


def _config_map(source: ConfigMapSource, problems: Problems) -> None:
    path = f"{_PATH}.configMap"
    problems.require(f"{path}.configMapName", source.config_map_name)
    problems.require(f"{path}.configMapNamespace", source.config_map_namespace)
    problems.require(f"{path}.templatePath", source.template_path)


def _placeholders(spec: Mapping[str, Any], entries: Sequence[TrialParameter], problems: Problems) -> None:
    used = find_placeholders(spec)
    names = [entry.name for entry in entries]
    for index, entry in enumerate(entries):
        if entry.name and entry.name not in used and not set(entry.name) & {"{", "}"}:
            problems.add(
                f"{_PARAMETERS}[{index}].name",
                f"must be used in {TRIAL_SPEC_PATH} as ${{trialParameters.{entry.name}}}, got no such text",
            )
        if is_meta_reference(entry.reference):
            try:
                resolve_meta_reference(entry.reference, spec)
            except ValueError as error:
                problems.add(f"{_PARAMETERS}[{index}].reference", str(error))
    for name, path in used.items():
        if name not in names:
            problems.add(
                path,
                f"must only use names of {_PARAMETERS} ({_listed(names)}), "
                f"got ${{trialParameters.{name}}}{did_you_mean(name, names)}",
            )


def _metadata(spec: Mapping[str, Any], problems: Problems) -> None:
    path = f"{TRIAL_SPEC_PATH}.metadata"
    metadata = spec.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        problems.add(path, f"must be a mapping, got {shown(metadata)}")
        return
    for field in ("name", "namespace"):
        if metadata.get(field):
            problems.add(
                f"{path}.{field}",
                f"must be left out, because every trial gets its own, got {shown(metadata[field])}",
            )


def _kind(spec: Mapping[str, Any], template: TrialTemplate, problems: Problems) -> None:
    complete = True
    for field in ("apiVersion", "kind"):
        value = spec.get(field)
        if not isinstance(value, str) or not value:
            complete = False
            problems.add(
                f"{TRIAL_SPEC_PATH}.{field}", f"must be set, got {shown(value) if value else 'nothing'}"
            )
    if complete and (spec["apiVersion"], spec["kind"]) == ("batch/v1", "Job"):
        check_job(spec, TRIAL_SPEC_PATH, template.primary_container_name, problems)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(name for name in names if name)) or "none"
