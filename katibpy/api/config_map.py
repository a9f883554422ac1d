"""The ConfigMap, as far as an Experiment takes its trial template from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from katibpy.api.decode import read_free
from katibpy.api.experiment import ConfigMapSource, Experiment, TrialTemplate
from katibpy.api.model import Resource, Text
from katibpy.api.nodes import MappingNode
from katibpy.api.source import read_documents
from katibpy.errors import FieldError, InvalidResource, ParseError

CONFIG_MAP_API_VERSION = "v1"
_PATH = "spec.trialTemplate.configMap"


class ConfigMap(Resource):
    """A Kubernetes ConfigMap."""

    api_version: str = CONFIG_MAP_API_VERSION
    kind: Literal["ConfigMap"] = "ConfigMap"
    data: dict[str, Text] = Field(default_factory=dict)


def with_template(experiment: Experiment, config_maps: Mapping[tuple[str, str], ConfigMap]) -> Experiment:
    """The experiment with a `trialSpec` where it names a ConfigMap; others come back as they are.

    Args:
        experiment: as it was handed in.
        config_maps: by namespace and name.

    Raises:
        InvalidResource: as `resolve_template`.
    """
    template = experiment.spec.trial_template
    if template is None:
        return experiment
    resolved = resolve_template(template, config_maps)
    if resolved is template:
        return experiment
    return experiment.but(spec=experiment.spec.but(trial_template=resolved))


def resolve_template(
    template: TrialTemplate, config_maps: Mapping[tuple[str, str], ConfigMap]
) -> TrialTemplate:
    """The template with `configMap` replaced by the `trialSpec` it points to; others come back as they are.

    Values put into a template from a ConfigMap are strings, as they are in a `trialSpec`. A source that
    lacks a field is left alone: validation names what is missing.

    Raises:
        InvalidResource: the ConfigMap or the entry is not there, or the entry is no job.
    """
    source = template.config_map
    if source is None or template.trial_spec is not None or not _is_complete(source):
        return template
    wanted = (source.config_map_namespace, source.config_map_name)
    found = config_maps.get(wanted)
    if found is None:
        have = ", ".join(sorted("/".join(key) for key in config_maps)) or "none"
        raise _invalid("", f"must name a ConfigMap that exists, got {'/'.join(wanted)!r}; there is {have}")
    text = found.data.get(source.template_path)
    if text is None:
        have = ", ".join(sorted(found.data)) or "nothing"
        raise _invalid(
            ".templatePath",
            f"must be a key of ConfigMap {'/'.join(wanted)!r}, got {source.template_path!r}; it has {have}",
        )
    where = f"must lead to a job (entry {source.template_path!r} of ConfigMap {'/'.join(wanted)!r})"
    try:
        documents = read_documents(text)
    except ParseError as error:
        raise _invalid(".templatePath", f"{where}, but there {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], MappingNode):
        raise _invalid(".templatePath", f"{where}, got {len(documents)} documents that are not one mapping")
    trial_spec, errors = read_free(documents[0], "")
    if errors:
        raise _invalid(".templatePath", f"{where}, but there {errors[0]}")
    return template.but(config_map=None, trial_spec=trial_spec)


def _is_complete(source: ConfigMapSource) -> bool:
    return all((source.config_map_name, source.config_map_namespace, source.template_path))


def _invalid(field: str, message: str) -> InvalidResource:
    return InvalidResource([FieldError(_PATH + field, message)])
