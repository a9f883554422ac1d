"""Fills a trial template: `${trialParameters.<name>}` in strings and keys of the parsed structure.

Values go into the parsed tree, never into its text, so no quote, newline or brace in a value can change
the shape of the result, and a value that looks like a placeholder is not looked at again. A string stays
a string: `"${trialParameters.lr}"` becomes `"0.01"`.

A template is compiled once and rendered per trial; sub-trees without placeholders are shared between all
results, so whoever gets a result must not change it in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from katibpy.api.experiment import TrialParameter, TrialTemplate
from katibpy.api.model import NameValue
from katibpy.api.paths import child_path
from katibpy.errors import FieldError, InvalidResource

PLACEHOLDER = re.compile(r"\$\{trialParameters\.([^{}]*)\}")
"""A reference from the template to an entry of `trialParameters`; group 1 is its name."""

META_REFERENCE = re.compile(r"\$\{trialSpec\.(.+?)\}", re.DOTALL)
"""A reference from an entry of `trialParameters` to the trial itself instead of a search parameter."""

MAX_DEPTH = 200
TEMPLATE_PATH = "spec.trialTemplate"
TRIAL_SPEC_PATH = f"{TEMPLATE_PATH}.trialSpec"

_INDEXED = re.compile(r"(Annotations|Labels)\[(.*)\]", re.DOTALL)
_Values = Sequence[str]
_Filler = Callable[[_Values], Any]
_NAME, _NAMESPACE = 0, 1


def is_meta_reference(reference: str) -> bool:
    """Whether a `trialParameters[].reference` means the trial itself, as `${trialSpec.Name}` does."""
    return META_REFERENCE.fullmatch(reference) is not None


def find_placeholders(value: object, path: str = TRIAL_SPEC_PATH) -> dict[str, str]:
    """Names of `trialParameters` used anywhere below `value`, each with the path of its first use."""
    found: dict[str, str] = {}
    pending: list[tuple[object, str]] = [(value, path)]
    while pending:
        node, where = pending.pop()
        if isinstance(node, str):
            for match in PLACEHOLDER.finditer(node):
                found.setdefault(match[1], where)
        elif isinstance(node, Mapping):
            children: list[tuple[object, str]] = []
            for key, child in node.items():
                step = child_path(where, str(key))
                children += [(key, step), (child, step)]
            pending += reversed(children)
        elif isinstance(node, list | tuple):
            pending += [(child, f"{where}[{index}]") for index, child in enumerate(node)][::-1]
    return found


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A trial template, ready to be filled once per trial. Immutable and safe to share between threads."""

    _parameters: tuple[tuple[str, str], ...]
    """Name of a trial parameter and the search parameter it stands for, in slot order."""
    _constants: tuple[str, ...]
    _reference_count: int
    _fill: Callable[[_Values], dict[str, Any]]

    def render(
        self, assignments: Mapping[str, str] | Iterable[NameValue], *, trial_name: str, namespace: str
    ) -> dict[str, Any]:
        """The run spec of one trial, with `metadata.name` and `metadata.namespace` set.

        Raises:
            InvalidResource: an assignment is missing, or one is given that the template never uses.
        """
        if isinstance(assignments, Mapping):
            values = assignments
        else:
            values = {entry.name: entry.value for entry in assignments}
        try:
            slots = [trial_name, namespace, *self._constants, *[values[name] for _, name in self._parameters]]
        except KeyError:
            raise InvalidResource(self._mismatches(values)) from None
        if len(values) != self._reference_count:
            raise InvalidResource(self._mismatches(values))
        return self._fill(slots)

    def _mismatches(self, values: Mapping[str, str]) -> list[FieldError]:
        errors = [
            FieldError(
                f"{TEMPLATE_PATH}.trialParameters",
                f"entry {name!r} refers to parameter {reference!r}, which the assignment lacks; "
                f"it has {_listed(values)}",
            )
            for name, reference in self._parameters
            if reference not in values
        ]
        referred = {reference for _, reference in self._parameters}
        errors += [
            FieldError(
                f"{TEMPLATE_PATH}.trialParameters",
                f"must refer to every assigned parameter, but no entry has the reference {name!r}; add one",
            )
            for name in values
            if name not in referred
        ]
        return errors


def compile_template(template: TrialTemplate) -> CompiledTemplate:
    """Prepare a template whose source is `trialSpec`.

    Raises:
        InvalidResource: there is no `trialSpec`, a placeholder has no entry in `trialParameters`, a
            `${trialSpec...}` reference names nothing, or the structure is too deep.
    """
    spec = template.trial_spec
    if spec is None:
        raise InvalidResource(
            [FieldError(TRIAL_SPEC_PATH, "must be present to render a trial; resolve configMap first")]
        )
    compiler = _Compiler(template.trial_parameters or (), spec)
    errors = compiler.errors
    metadata = spec.get("metadata")
    body = {key: value for key, value in spec.items() if key != "metadata"}
    fill_body = compiler.compile(body, TRIAL_SPEC_PATH)
    if metadata is not None and not isinstance(metadata, dict):
        errors.append(FieldError(f"{TRIAL_SPEC_PATH}.metadata", f"must be a mapping, got {metadata!r}"))
        metadata = None
    metadata = metadata or {}
    fill_metadata = compiler.compile(metadata, f"{TRIAL_SPEC_PATH}.metadata")
    if errors:
        raise InvalidResource(errors)

    def fill(values: _Values) -> dict[str, Any]:
        head = dict(metadata) if fill_metadata is None else fill_metadata(values)
        head["name"], head["namespace"] = values[_NAME], values[_NAMESPACE]
        filled: dict[str, Any] = dict(body) if fill_body is None else fill_body(values)
        filled["metadata"] = head
        return filled

    references = {reference for _, reference in compiler.parameters}
    return CompiledTemplate(tuple(compiler.parameters), tuple(compiler.constants), len(references), fill)


def render_run_spec(
    template: TrialTemplate,
    assignments: Mapping[str, str] | Iterable[NameValue],
    *,
    trial_name: str,
    namespace: str,
) -> dict[str, Any]:
    """Compile and render in one go; for more than a few trials compile once and keep the result.

    Raises:
        InvalidResource: as `compile_template` and `CompiledTemplate.render`.
    """
    return compile_template(template).render(assignments, trial_name=trial_name, namespace=namespace)


def resolve_meta_reference(reference: str, spec: Mapping[str, Any]) -> str | None:
    """The text that a `${trialSpec...}` reference to a fixed part of the template stands for.

    `None` for `Name` and `Namespace`, which differ per trial.

    Raises:
        ValueError: there is no such reference, label or annotation; the message reads on after the path.
    """
    match = META_REFERENCE.fullmatch(reference)
    name = match[1] if match else reference
    if name in ("Name", "Namespace"):
        return None
    if name in ("Kind", "APIVersion"):
        return str(spec.get("kind" if name == "Kind" else "apiVersion", ""))
    indexed = _INDEXED.fullmatch(name)
    if indexed is None:
        raise ValueError(
            "must be Name, Namespace, Kind, APIVersion, Annotations[key] or Labels[key] inside "
            f"${{trialSpec.}}, got {reference!r}"
        )
    field, key = indexed[1].lower(), indexed[2]
    metadata = spec.get("metadata")
    entries = metadata.get(field) if isinstance(metadata, Mapping) else None
    if not isinstance(entries, Mapping) or key not in entries:
        known = _listed(entries) if isinstance(entries, Mapping) else "none"
        raise ValueError(
            f"must name one of the template's {field}, got {key!r}; its metadata.{field} has {known}"
        )
    return str(entries[key])


class _Compiler:
    """Turns a tree into functions that rebuild only what contains a placeholder."""

    def __init__(self, trial_parameters: Sequence[TrialParameter], spec: Mapping[str, Any]) -> None:
        self.errors: list[FieldError] = []
        self.constants: list[str] = []
        self.parameters: list[tuple[str, str]] = []
        self._slots: dict[str, int] = {}
        metas: dict[str, str | None] = {}
        for index, parameter in enumerate(trial_parameters):
            if not is_meta_reference(parameter.reference):
                self.parameters.append((parameter.name, parameter.reference))
                continue
            try:
                metas[parameter.name] = resolve_meta_reference(parameter.reference, spec)
            except ValueError as error:
                path = f"{TEMPLATE_PATH}.trialParameters[{index}].reference"
                self.errors.append(FieldError(path, str(error)))
                metas[parameter.name] = ""
            if metas[parameter.name] is None:
                self._slots[parameter.name] = _NAME if "Namespace" not in parameter.reference else _NAMESPACE
        for name, text in metas.items():
            if text is not None:
                self._slots[name] = 2 + len(self.constants)
                self.constants.append(text)
        for offset, (name, _) in enumerate(self.parameters):
            self._slots.setdefault(name, 2 + len(self.constants) + offset)

    def compile(self, node: object, path: str, depth: int = 0) -> _Filler | None:
        """A function that builds the filled node, or `None` when the node has no placeholder."""
        if isinstance(node, str):
            return self._text(node, path)
        if depth > MAX_DEPTH:
            self.errors.append(FieldError(path, f"must not be nested deeper than {MAX_DEPTH} levels"))
            return None
        if isinstance(node, dict):
            return self._mapping(node, path, depth)
        if isinstance(node, list | tuple):
            return self._sequence(list(node), path, depth)
        return None

    def _text(self, text: str, path: str) -> _Filler | None:
        pieces = PLACEHOLDER.split(text)
        if len(pieces) == 1:
            return None
        slots = []
        for name in pieces[1::2]:
            slot = self._slots.get(name)
            if slot is None:
                self.errors.append(
                    FieldError(
                        path,
                        f"must only use names of {TEMPLATE_PATH}.trialParameters ({_listed(self._slots)}), "
                        f"got ${{trialParameters.{name}}}; add an entry for it",
                    )
                )
            slots.append(slot or 0)
        if len(slots) == 1 and not pieces[0] and not pieces[2]:
            return itemgetter(slots[0])
        layout = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
        pick = itemgetter(*slots)
        return lambda values: layout % pick(values)

    def _mapping(self, node: dict[Any, Any], path: str, depth: int) -> _Filler | None:
        keys = {key: self._text(key, child_path(path, key)) for key in node if isinstance(key, str)}
        children = {
            key: filler
            for key, child in node.items()
            if (filler := self.compile(child, child_path(path, str(key)), depth + 1)) is not None
        }
        if any(keys.values()):
            return _renaming(node, keys, children, path)
        if not children:
            return None
        dynamic = tuple(children.items())

        def fill(values: _Values) -> dict[Any, Any]:
            filled = node.copy()
            for key, filler in dynamic:
                filled[key] = filler(values)
            return filled

        return fill

    def _sequence(self, node: list[Any], path: str, depth: int) -> _Filler | None:
        children = tuple(
            (index, filler)
            for index, child in enumerate(node)
            if (filler := self.compile(child, f"{path}[{index}]", depth + 1)) is not None
        )
        if not children:
            return None

        def fill(values: _Values) -> list[Any]:
            filled = node.copy()
            for index, filler in children:
                filled[index] = filler(values)
            return filled

        return fill


def _renaming(
    node: dict[Any, Any], keys: Mapping[Any, _Filler | None], children: Mapping[Any, _Filler], path: str
) -> _Filler:
    def fill(values: _Values) -> dict[Any, Any]:
        filled: dict[Any, Any] = {}
        for key, child in node.items():
            rename, filler = keys.get(key), children.get(key)
            name = key if rename is None else rename(values)
            if name in filled:
                raise InvalidResource(
                    [FieldError(path, f"must have distinct keys once filled, but {name!r} comes up twice")]
                )
            filled[name] = child if filler is None else filler(values)
        return filled

    return fill


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
