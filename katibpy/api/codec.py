"""Between text and resources: YAML or JSON in, with every problem and its line; Katib's shape out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from katibpy.api.config_map import CONFIG_MAP_API_VERSION, ConfigMap
from katibpy.api.decode import Decoder, shown
from katibpy.api.defaults import with_defaults
from katibpy.api.encode import dump_json, dump_yaml, to_dict
from katibpy.api.experiment import Experiment
from katibpy.api.model import API_VERSION, Resource
from katibpy.api.nodes import MappingNode, Node, Scalar, SequenceNode, merged_entries
from katibpy.api.paths import did_you_mean, first_step, is_within, nearest, parent_path
from katibpy.api.source import from_python, read_documents
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.api.validation import validate_experiment
from katibpy.errors import FieldError, InvalidResource, ParseError

__all__ = [
    "RESOURCE_TYPES",
    "Document",
    "dump_json",
    "dump_yaml",
    "from_dict",
    "load_documents",
    "load_object",
    "to_dict",
]

RESOURCE_TYPES: Mapping[str, type[Resource]] = {
    "Experiment": Experiment,
    "Suggestion": Suggestion,
    "Trial": Trial,
    "ConfigMap": ConfigMap,
}
"""The kinds that a document may hold."""


@dataclass(frozen=True, slots=True)
class Document:
    """One resource as it was handed in.

    Attributes:
        resource: the typed object, neither defaulted nor validated.
        lines: path of a field and the line it stands on, as far as the source is text.
    """

    resource: Resource
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    def line_of(self, path: str) -> int | None:
        """The line of a field, or of the nearest field around it when it is not there."""
        while path and path not in self.lines:
            path = parent_path(path)
        return self.lines.get(path)

    def located(self, errors: Iterable[FieldError]) -> tuple[FieldError, ...]:
        """The errors with their lines, in the order of the document."""
        found = (each if each.line else replace(each, line=self.line_of(each.path)) for each in errors)
        return tuple(sorted(found, key=lambda each: each.line or 0))


def load_documents(text: str | bytes, *, allow_unknown: bool = False) -> list[Document]:
    """Read a YAML or JSON file with one or more resources; a Kubernetes `List` counts as its items.

    Args:
        text: the content of the file.
        allow_unknown: keep fields that no resource has instead of refusing them.

    Raises:
        ParseError: it is no YAML or JSON, too large, an alias bomb, or holds nothing.
        InvalidResource: fields that do not exist or have the wrong type, and keys given twice, of all
            documents at once.
    """
    nodes = [each for node in read_documents(text) for each in _unlisted(node)]
    if not nodes:
        raise ParseError(f"must hold at least one resource ({_kinds()}), got an empty document")
    return _load(nodes, allow_unknown=allow_unknown)


def load_object(data: Mapping[str, Any], *, allow_unknown: bool = False) -> Document:
    """Read one resource from plain data, as strictly as from text; there are no lines.

    Raises:
        ParseError: it is nested too deeply or holds something that JSON has not.
        InvalidResource: as `load_documents`.
    """
    return _load([from_python(data)], allow_unknown=allow_unknown)[0]


def from_dict(kind: str, data: Mapping[str, Any]) -> Resource:
    """The quick way back from `to_dict`, for stores: unknown fields are kept, nothing has a line.

    Raises:
        InvalidResource: the kind is not known, or a field has the wrong type.
    """
    model = RESOURCE_TYPES.get(kind)
    if model is None:
        raise InvalidResource([_unknown_kind(Scalar(kind, True, None))])
    try:
        return model.model_validate(data)
    except ValidationError:
        # Slower, but it forgives nulls, as Kubernetes does, and says what is wrong in our words.
        return load_object({"apiVersion": API_VERSION, "kind": kind, **data}, allow_unknown=True).resource


def _load(nodes: Iterable[Node], *, allow_unknown: bool) -> list[Document]:
    documents: list[Document] = []
    errors: list[FieldError] = []
    for node in nodes:
        document, problems = _read(node, allow_unknown=allow_unknown)
        errors += problems
        if document is not None:
            documents.append(document)
    if errors:
        raise InvalidResource(sorted(errors, key=lambda each: each.line or 0))
    return documents


def _read(node: Node, *, allow_unknown: bool) -> tuple[Document | None, list[FieldError]]:
    if not isinstance(node, MappingNode):
        return None, [
            FieldError(
                "document", f"must be a mapping with apiVersion and kind, got {shown(node)}", node.line
            )
        ]
    heads = {entry.key: entry.node for entry in merged_entries(node) if entry.key in ("apiVersion", "kind")}
    kind = heads.get("kind")
    model = RESOURCE_TYPES.get(kind.text) if isinstance(kind, Scalar) else None
    if model is None:
        return None, [
            _unknown_kind(kind) if kind else FieldError("kind", f"must be {_kinds()}, got nothing", node.line)
        ]
    decoder = Decoder(model, allow_unknown=allow_unknown)
    wanted = CONFIG_MAP_API_VERSION if model is ConfigMap else API_VERSION
    version = heads.get("apiVersion")
    if not isinstance(version, Scalar) or version.text != wanted:
        got, line = (shown(version), version.line) if version else ("nothing", node.line)
        decoder.errors.append(
            FieldError("apiVersion", f"must be {wanted!r} for kind {model.__name__}, got {got}", line)
        )
    data = decoder.model(node, model, "")
    try:
        document = Document(model.model_validate(data), decoder.lines)
    except ValidationError as error:
        problems = [_from_pydantic(problem) for problem in error.errors(include_url=False)]
        return None, decoder.errors or problems
    if decoder.errors:
        return None, [*decoder.errors, *_further_errors(document, decoder.errors)]
    return document, []


def _further_errors(document: Document, known: list[FieldError]) -> tuple[FieldError, ...]:
    """Rules that an Experiment breaks besides the fields that could not be read, so that all come at once."""
    if not isinstance(document.resource, Experiment):
        return ()
    found = validate_experiment(with_defaults(document.resource), known_algorithms=None, known_stopping=None)
    return document.located(error for error in found if not any(_may_follow(error, each) for each in known))


def _may_follow(error: FieldError, known: FieldError) -> bool:
    """Whether an error may only be there because another field could not be read."""
    if is_within(error.path, known.path) or is_within(known.path, error.path):
        return True
    # A misspelt name leaves a gap beside it.
    around = parent_path(known.path)
    if not is_within(error.path, around) or "got nothing" not in error.message:
        return False
    missing, misspelt = first_step(error.path, around), first_step(known.path, around)
    return nearest(misspelt, [missing]) is not None


def _from_pydantic(problem: Any) -> FieldError:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]).lstrip(
        "."
    )
    return FieldError(path, f"must be right for its type: {problem['msg']}, got {problem['input']!r:.80}")


def _unlisted(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        fields = {entry.key: entry.node for entry in merged_entries(node)}
        kind, items = fields.get("kind"), fields.get("items")
        if isinstance(kind, Scalar) and kind.text.endswith("List") and isinstance(items, SequenceNode):
            return items.items
    return [node]


def _unknown_kind(kind: Node) -> FieldError:
    hint = did_you_mean(kind.text, RESOURCE_TYPES) if isinstance(kind, Scalar) else ""
    return FieldError("kind", f"must be {_kinds()}, got {shown(kind)}{hint}", kind.line)


def _kinds() -> str:
    *others, last = RESOURCE_TYPES
    return f"{', '.join(others)} or {last}"
