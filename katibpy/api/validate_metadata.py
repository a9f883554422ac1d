"""Rules for names, namespaces, labels and annotations, which Kubernetes and file names depend on."""

from __future__ import annotations

import re

from katibpy.api.model import ObjectMeta
from katibpy.api.paths import child_path
from katibpy.api.problems import Problems, shown

MAX_NAME_LENGTH = 40
"""Names of trials and of what runs them are made from the Experiment's and must fit 63 characters."""

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MAX_PART = 63
_MAX_DOMAIN = 253


def check_metadata(metadata: ObjectMeta, problems: Problems) -> None:
    """Check the `metadata` of an Experiment."""
    if problems.require("metadata.name", metadata.name):
        if not _NAME.fullmatch(metadata.name):
            problems.add(
                "metadata.name",
                "must start with a lower case letter, end with a lower case letter or digit, and have only "
                f"these and '-' between, got {shown(metadata.name)}",
            )
        if len(metadata.name) > MAX_NAME_LENGTH:
            problems.add(
                "metadata.name",
                f"must have at most {MAX_NAME_LENGTH} characters, got {shown(metadata.name)} with "
                f"{len(metadata.name)}",
            )
    if not _NAMESPACE.fullmatch(metadata.namespace) or len(metadata.namespace) > _MAX_PART:
        problems.add(
            "metadata.namespace",
            f"must be up to {_MAX_PART} lower case letters, digits and '-', got {shown(metadata.namespace)}",
        )
    for key, value in metadata.labels.items():
        path = child_path("metadata.labels", key)
        _key(path, key, problems)
        if value and (not _LABEL_PART.fullmatch(value) or len(value) > _MAX_PART):
            problems.add(
                path,
                f"must be at most {_MAX_PART} letters, digits, '-', '_' and '.', with a letter or digit at "
                f"both ends, got {shown(value)}; put it into an annotation",
            )
    for key in metadata.annotations:
        _key(child_path("metadata.annotations", key), key, problems)


def _key(path: str, key: str, problems: Problems) -> None:
    domain, slash, name = key.rpartition("/")
    good = _LABEL_PART.fullmatch(name) and len(name) <= _MAX_PART
    if slash:
        good = good and _DOMAIN.fullmatch(domain) and len(domain) <= _MAX_DOMAIN
    if not good:
        problems.add(path, f"must have a key such as 'name' or 'example.com/name', got {shown(key)}")
