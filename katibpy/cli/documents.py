"""Reads the files named on the command line into admitted Experiments, with every problem at once."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from katibpy.api.codec import Document, load_documents
from katibpy.api.config_map import ConfigMap
from katibpy.api.model import Resource
from katibpy.api.source import MAX_BYTES
from katibpy.app.admission import Admitted, Check, admit
from katibpy.cli.failures import Problems
from katibpy.errors import FieldError, InvalidResource, ParseError

STDIN = "-"
_R = TypeVar("_R", bound=Resource)
_POSITION = re.compile(r"line (\d+), column (\d+): ")


@dataclass(frozen=True, slots=True)
class AdmittedFile:
    """One file and the Experiments in it.

    Attributes:
        name: as messages name it.
        admitted: the Experiments in it, in order.
    """

    name: str
    admitted: tuple[Admitted, ...]


def read_files(
    files: Sequence[str],
    *,
    checks: Sequence[Check] = (),
    algorithms: Collection[str] = (),
    allow_unknown: bool = False,
    namespace: str | None = None,
) -> tuple[AdmittedFile, ...]:
    """Reads, defaults and validates all Experiments of all files.

    A ConfigMap serves all the files, whichever it stands in.

    Args:
        files: paths; `-` is standard input.
        checks: further refusals, see `admit`.
        algorithms: names of search algorithms that a configuration adds.
        allow_unknown: keep fields that no resource has.
        namespace: for resources that do not name one; one that names another is refused.

    Raises:
        Problems: with all problems of all files.
    """
    problems: list[str] = []
    sources: list[tuple[str, list[Document]]] = []
    for file in files:
        name = shown_name(file)
        try:
            documents = load_documents(_content(file), allow_unknown=allow_unknown)
        except (ParseError, InvalidResource) as err:
            problems += located(name, err)
            continue
        moved = [_in_namespace(document, namespace) for document in documents]
        problems += [located_error(name, each) for each in moved if isinstance(each, FieldError)]
        sources.append((name, [each for each in moved if isinstance(each, Document)]))
    admitted_files: list[AdmittedFile] = []
    for name, documents in sources:
        elsewhere = [
            document
            for other, others in sources
            if other != name
            for document in others
            if isinstance(document.resource, ConfigMap)
        ]
        try:
            admitted = admit([*documents, *elsewhere], checks=checks, algorithms=algorithms)
        except InvalidResource as err:
            problems += located(name, err)
            continue
        if not admitted and not any(isinstance(each.resource, ConfigMap) for each in documents):
            continue
        admitted_files.append(AdmittedFile(name, admitted))
    problems += _duplicates(admitted_files)
    if not problems and not any(each.admitted for each in admitted_files):
        problems.append(f"{', '.join(map(shown_name, files))}: must hold at least one Experiment, got none")
    if problems:
        raise Problems(problems)
    return tuple(admitted_files)


def located(name: str, err: ParseError | InvalidResource) -> list[str]:
    """The lines that report what is wrong with a file."""
    if isinstance(err, InvalidResource):
        return [located_error(name, each) for each in err.errors]
    text = str(err)
    position = _POSITION.match(text)
    if position:
        return [f"{name}:{position[1]}:{position[2]}: {text[position.end() :]}"]
    return [f"{name}: {text}"]


def located_error(name: str, error: FieldError) -> str:
    """`FILE:LINE: PATH RULE`, without the line when it is not known."""
    place = name if error.line is None else f"{name}:{error.line}"
    return f"{place}: {error.path} {error.message}"


def shown_name(file: str) -> str:
    """How messages name a file."""
    return "standard input" if file == STDIN else file


def _content(file: str) -> bytes:
    """The bytes of a file, never many more than the reader would take.

    Raises:
        ParseError: it cannot be read.
    """
    try:
        if file == STDIN:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(file, "rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > MAX_BYTES:
                limit, size = MAX_BYTES // 2**20, status.st_size / 2**20
                raise ParseError(f"must be at most {limit} MiB, got {size:.0f} MiB")
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ParseError("there is no such file") from None
    except IsADirectoryError:
        raise ParseError(
            f"must be a file, got a directory; name its files: {file.rstrip('/')}/*.yaml"
        ) from None
    except OSError as err:
        raise ParseError(f"cannot be read: {err.strerror or err}") from None


def _in_namespace(document: Document, namespace: str | None) -> Document | FieldError:
    meta = document.resource.metadata
    if namespace is None or meta.namespace == namespace:
        return document
    if "namespace" in meta.model_fields_set:
        path = "metadata.namespace"
        message = f"must be {namespace!r}, as -n asks for, got {meta.namespace!r}; leave one of them out"
        return FieldError(path, message, document.line_of(path))
    return replace(document, resource=_moved(document.resource, namespace))


def _moved(resource: _R, namespace: str) -> _R:
    return resource.but(metadata=resource.metadata.but(namespace=namespace))


def _duplicates(files: Sequence[AdmittedFile]) -> list[str]:
    first: dict[tuple[str, str, str], str] = {}
    problems = []
    for file in files:
        for admitted in file.admitted:
            experiment = admitted.experiment
            line = admitted.document.line_of("metadata.name")
            place = file.name if line is None else f"{file.name}:{line}"
            before = first.setdefault(experiment.key, place)
            if before is not place:
                problems.append(
                    f"{place}: metadata.name must be the name of one Experiment, got "
                    f"{experiment.metadata.name!r}, which {before} has too; rename or remove one"
                )
    return problems
