"""Turns what callers hand in - dicts, files, text, other SDKs' model objects - into plain data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from katibpy.api.codec import Document, load_documents, load_object
from katibpy.api.encode import to_dict
from katibpy.api.model import Model, Resource, format_time
from katibpy.api.source import MAX_BYTES
from katibpy.errors import InputError, ParseError


def documents_of(source: object) -> list[Document]:
    """The resources that a caller means.

    Args:
        source: a mapping, a resource of `katibpy.api`, an object with `to_dict()` such as a model of Katib's
            SDK, a path, or YAML or JSON text.

    Raises:
        ParseError: a file cannot be read, or is no YAML or JSON.
        InvalidResource: a field does not exist or has the wrong type.
        InputError: it is none of these.
    """
    if isinstance(source, Path):
        return load_documents(_read(source))
    if isinstance(source, str):
        is_text = "\n" in source or source.lstrip().startswith("{")
        return load_documents(source if is_text else _read(Path(source)))
    if isinstance(source, Resource):
        # Read again, so that fields that no resource has are found.
        data = to_dict(source, status=False)
        if "namespace" not in source.metadata.model_fields_set:
            data["metadata"].pop("namespace", None)
        return [load_object(data)]
    data = plain(source)
    if not isinstance(data, Mapping):
        raise InputError(
            "an experiment must be a dict, a path, YAML text, an Experiment or an object with to_dict(), got "
            f"{type(source).__name__}"
        )
    return [load_object(data)]


def plain(value: object) -> Any:
    """Plain data of a value and all in it, spelled as in YAML.

    Objects that OpenAPI generators make (kubernetes, kubeflow-katib) tell the names of their fields; what
    their `to_dict` gives is spelled for Python. Others are asked for `to_dict()`.
    """
    if isinstance(value, Model):
        return to_dict(value)
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    names = getattr(value, "attribute_map", None)
    if isinstance(names, Mapping):
        fields = {spelling: getattr(value, name, None) for name, spelling in names.items()}
        return {spelling: plain(item) for spelling, item in fields.items() if item is not None}
    convert = getattr(value, "to_dict", None)
    return plain(convert()) if callable(convert) else value


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # The reader refuses what is longer.
            return file.read(MAX_BYTES + 1)
    except OSError as err:
        raise ParseError(f"the file {path} cannot be read: {err.strerror or err}") from err
