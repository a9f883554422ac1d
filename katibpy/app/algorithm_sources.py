"""What a configuration file says of algorithms that come from elsewhere: an address, a command or an image.

The entries have the form of those below `runtime.suggestions` in a KatibConfig, with fields of ours beside
Katib's. A KatibConfig itself is read as it is: what it has for a cluster is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from katibpy.api.quantity import ceiling, milli, parse_quantity
from katibpy.app.configuration_fields import (
    Wrong,
    fields,
    file_path,
    flag,
    items,
    seconds,
    text,
    texts,
)
from katibpy.core.endpoints import is_local

_KATIBS = ("algorithmName", "image", "imagePullPolicy", "command", "args", "env", "workingDir", "resources")
_OURS = ("address", "tls", "tokenFile", "plaintext", "shared", "timeoutSeconds", "startTimeoutSeconds")
_PULLS = {"": "missing", "IfNotPresent": "missing", "Always": "always", "Never": "never"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmSource:
    """Where one algorithm comes from: `address`, `image`, or else `command`.

    Attributes:
        name: what an Experiment calls it.
        address: of a service that somebody else runs.
        is_secure: whether the address is reached over TLS.
        authority: certificates by which the service there is trusted; None for those of this machine.
        token_file: holds what is sent with every call.
        image: whose service listens at port 6789, as Katib's do.
        pull: `missing`, `always` or `never`.
        command: program and arguments; in place of the image's entrypoint when there is an image.
        args: further arguments; in place of the image's.
        environment: variables.
        working_directory: where it is started; in the image when there is one.
        cpu_limit: of the container, in thousandths.
        memory_limit: of the container, in bytes.
        is_shared: one service for all Experiments instead of one for each.
        call_seconds: how long one call may take.
        start_seconds: how long its start may take.
    """

    name: str
    address: str = ""
    is_secure: bool = False
    authority: Path | None = None
    token_file: Path | None = None
    image: str = ""
    pull: str = "missing"
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = ""
    cpu_limit: int | None = None
    memory_limit: int | None = None
    is_shared: bool = False
    call_seconds: float | None = None
    start_seconds: float | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words."""
        return self.address or self.image or " ".join((*self.command, *self.args))


def sources_of(value: Any, path: str, base: Path) -> dict[str, AlgorithmSource]:
    """The entries of our own list, by name.

    Raises:
        Wrong: an entry breaks a rule, or two have one name.
    """
    found: dict[str, AlgorithmSource] = {}
    for index, entry in enumerate(items(value, path)):
        where = f"{path}[{index}]"
        source = _source(fields(entry, where, (*_KATIBS, *_OURS)), where, base)
        if source.name in found:
            raise Wrong(f"{where}.algorithmName must be different in each entry, got {source.name!r} again")
        found[source.name] = source
    return found


def sources_of_katib(document: Any, path: str, base: Path) -> dict[str, AlgorithmSource]:
    """The algorithms of a KatibConfig, or of the ConfigMap that holds one; the last of a name counts.

    Raises:
        Wrong: it is neither, or an entry has no image.
    """
    if isinstance(document, Mapping) and document.get("kind") == "ConfigMap":
        held = (document.get("data") or {}).get("katib-config.yaml")
        try:
            document = yaml.safe_load(held) if isinstance(held, str) else None
        except yaml.YAMLError as error:
            raise Wrong(f"{path}: data.katib-config.yaml cannot be read: {error}") from error
    if not isinstance(document, Mapping) or document.get("kind") != "KatibConfig":
        raise Wrong(f"{path} must be a KatibConfig or the ConfigMap that holds one")
    runtime = document.get("runtime") or {}
    entries = runtime.get("suggestions") if isinstance(runtime, Mapping) else None
    found: dict[str, AlgorithmSource] = {}
    for index, entry in enumerate(items(entries, f"{path}: runtime.suggestions")):
        where = f"{path}: runtime.suggestions[{index}]"
        if not isinstance(entry, Mapping):
            raise Wrong(f"{where} must be a mapping, got {entry!r}")
        text(entry.get("image"), f"{where}.image")
        source = _source({name: entry[name] for name in _KATIBS if name in entry}, where, base)
        found[source.name] = source
    return found


def _source(entry: Mapping[str, Any], where: str, base: Path) -> AlgorithmSource:
    name = text(entry.get("algorithmName"), f"{where}.algorithmName")
    given = [each for each in ("address", "image") if each in entry] or ["command"] * ("command" in entry)
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise Wrong(f"{where} must have one of address, command and image, got {got}")
    if given == ["address"]:
        return _at_address(name, entry, where, base)
    for each in ("tls", "tokenFile", "plaintext"):
        if each in entry:
            raise Wrong(f"{where}.{each} is for an address, got it beside {given[0]}")
    is_image = given == ["image"]
    command = texts(entry.get("command"), f"{where}.command")
    if not is_image and not command:
        raise Wrong(f"{where}.command must have at least the program, got an empty list")
    cpu, memory = _limits(entry.get("resources"), f"{where}.resources") if is_image else (None, None)
    working = entry.get("workingDir")
    pull = entry.get("imagePullPolicy") or ""
    if pull not in _PULLS:
        known = ", ".join(filter(None, _PULLS))
        raise Wrong(f"{where}.imagePullPolicy must be one of {known}, got {pull!r}")
    if working is not None:
        there = text(working, f"{where}.workingDir")
        working = there if is_image else str(file_path(there, f"{where}.workingDir", base))
    return AlgorithmSource(
        name=name,
        image=text(entry["image"], f"{where}.image") if is_image else "",
        pull=_PULLS[pull],
        command=command,
        args=texts(entry.get("args"), f"{where}.args"),
        environment=_environment(entry.get("env"), f"{where}.env"),
        working_directory=working or ("" if is_image else str(base)),
        cpu_limit=cpu,
        memory_limit=memory,
        is_shared=flag(entry.get("shared"), f"{where}.shared"),
        call_seconds=seconds(entry.get("timeoutSeconds"), f"{where}.timeoutSeconds"),
        start_seconds=seconds(entry.get("startTimeoutSeconds"), f"{where}.startTimeoutSeconds"),
    )


def _at_address(name: str, entry: Mapping[str, Any], where: str, base: Path) -> AlgorithmSource:
    allowed = ("algorithmName", "address", "tls", "tokenFile", "plaintext", "timeoutSeconds")
    for each in entry:
        if each not in allowed:
            raise Wrong(f"{where}.{each} is for a service that is started here, got it beside address")
    address = text(entry["address"], f"{where}.address")
    host, _, port = address.rpartition(":")
    if not address.startswith("unix:") and not (host and port.isdigit()):
        raise Wrong(f"{where}.address must be host:port or unix:/path, got {address!r}")
    tls = entry.get("tls")
    authority = fields(tls, f"{where}.tls", ("caFile",)).get("caFile") if tls is not None else None
    is_plain = flag(entry.get("plaintext"), f"{where}.plaintext")
    if tls is None and not is_local(address) and not is_plain:
        raise Wrong(
            f"{where}.address must be on this machine, got {address!r}; for another one set tls with caFile, "
            "or plaintext: true where everybody on the network in between is trusted"
        )
    token = entry.get("tokenFile")
    if token is not None and tls is None:
        raise Wrong(f"{where}.tokenFile needs tls beside it: a token in plaintext is no secret")
    return AlgorithmSource(
        name=name,
        address=address,
        is_secure=tls is not None,
        authority=None if authority is None else file_path(authority, f"{where}.tls.caFile", base),
        token_file=file_path(token, f"{where}.tokenFile", base) if token is not None else None,
        call_seconds=seconds(entry.get("timeoutSeconds"), f"{where}.timeoutSeconds"),
    )


def _environment(value: Any, path: str) -> dict[str, str]:
    found = {}
    for index, entry in enumerate(items(value, path)):
        each = fields(entry, f"{path}[{index}]", ("name", "value"))
        content = each.get("value", "")
        if not isinstance(content, str):
            raise Wrong(f"{path}[{index}].value must be a text, got {content!r}")
        found[text(each.get("name"), f"{path}[{index}].name")] = content
    return found


def _limits(value: Any, path: str) -> tuple[int | None, int | None]:
    limits = fields(value, path, ("limits", "requests", "claims")).get("limits") or {}
    if not isinstance(limits, Mapping):
        raise Wrong(f"{path}.limits must be a mapping, got {limits!r}")
    found: list[int | None] = []
    for name, scaled in (("cpu", milli), ("memory", ceiling)):
        try:
            amount = parse_quantity(limits[name]) if name in limits else None
        except ValueError as error:
            raise Wrong(f"{path}.limits.{name} {error}") from error
        found.append(scaled(amount) if amount else None)
    return found[0], found[1]
