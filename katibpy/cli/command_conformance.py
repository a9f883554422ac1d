"""`katib conformance`: holds a search algorithm, here or elsewhere, to what algorithms promise."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from katibpy.cli.failures import FAILED, BadInput
from katibpy.cli.options import configuration_option, output_option, usual_state_directory
from katibpy.cli.output_conformance import Target, closing_line, document_of, opening_line, paragraph
from katibpy.cli.verbosity import verbose_option

if TYPE_CHECKING:
    from katibpy.api.experiment import ParameterSpec
    from katibpy.ports import Launcher
    from katibpy.testing.algorithm_subject import Subject
    from katibpy.testing.algorithm_suite import Check, Result

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Traits:
    """What an author says of an algorithm that the wire does not tell."""

    settings: dict[str, str]
    learns: bool | None
    repeats: bool
    call_seconds: float
    parameters: tuple[ParameterSpec, ...] = ()


@click.command(
    epilog="Exit codes: 0 every promise that applies is kept, 1 some are broken, 2 there is nobody to ask."
)
@click.argument("target", metavar="ADDRESS|NAME")
@click.option("--algorithm-name", metavar="NAME", help="What the service at ADDRESS calls its algorithm.")
@click.option(
    "--settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting that the algorithm cannot do without; may be given several times.",
)
@click.option(
    "--parameters",
    type=_FILE,
    metavar="FILE",
    help="YAML list of parameters, as an Experiment has them, that the algorithm cannot do without.",
)
@click.option(
    "--learns/--no-learns",
    default=None,
    help="Results steer it, and it must do better than random search; or they must not steer it.",
)
@click.option("--repeats", is_flag=True, help="It may propose an assignment twice on purpose.")
@click.option("--promise", "promises", multiple=True, metavar="NAME", help="Check this promise alone.")
@click.option("--timeout", default=20.0, show_default=True, metavar="SECONDS", help="For each call.")
@click.option(
    "--tls-ca", type=_FILE, metavar="FILE", help="Certificates by which ADDRESS is trusted: use TLS."
)
@click.option("--token-file", type=_FILE, metavar="FILE", help="Holds the token that ADDRESS wants.")
@configuration_option
@output_option("text", "json", default="text")
@verbose_option
@click.pass_context
def conformance(
    ctx: click.Context,
    target: str,
    algorithm_name: str | None,
    settings: tuple[str, ...],
    parameters: Path | None,
    learns: bool | None,
    repeats: bool,
    promises: tuple[str, ...],
    timeout: float,
    tls_ca: Path | None,
    token_file: Path | None,
    config: Path | None,
    output: str,
) -> None:
    """Asks a search algorithm a few thousand questions and reports which promises it keeps.

    ADDRESS is host:port or unix:/path of a gRPC service, in any language; NAME is an algorithm of the
    configuration, of an installed distribution or of katib itself.
    """
    from katibpy.testing.algorithm_suite import CHECKS, Verdict, run_checks

    checks = _chosen(promises, CHECKS)
    traits = Traits(_pairs(settings), learns, repeats, timeout, _parameters(parameters))
    began = time.monotonic()
    results: list[Result] = []
    with _target(target, algorithm_name, traits, config, tls_ca, token_file) as found:
        _must_take_some(found.subject)
        if output == "text":
            click.echo(opening_line(found))
        for result in run_checks(found.subject, checks, is_extended=found.is_extended):
            results.append(result)
            if output == "text":
                click.echo(paragraph(result))
        document = document_of(found, results)
    verdicts = {result.verdict for result in results}
    if output == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(closing_line(results, time.monotonic() - began))
    if Verdict.BROKEN in verdicts:
        ctx.exit(FAILED)


@contextmanager
def _target(
    name: str, algorithm: str | None, traits: Traits, config: Path | None, ca: Path | None, token: Path | None
) -> Iterator[Target]:
    """Whom to ask, until the block ends.

    Raises:
        BadInput: there is nobody.
    """
    from katibpy.launchers.fixed import FixedLauncher

    if ":" in name:
        from katibpy.app.plug_ins import security_of
        from katibpy.core.endpoints import Endpoint

        security = None if ca is None else security_of(ca, token)
        endpoint = Endpoint(name, security=security)
        with _remote(FixedLauncher({}, otherwise=endpoint), algorithm or "", name, traits) as target:
            yield target
        return
    from katibpy.app.configuration import read_configuration

    configuration = read_configuration(usual_state_directory(), config)
    source = configuration.algorithms.get(name)
    if source is None:
        yield _of_catalogue(algorithm or name, traits)
        return
    from katibpy.app.plug_ins import with_plug_ins

    logs = usual_state_directory() / "logs"
    launcher = with_plug_ins(configuration, FixedLauncher({}), log_directory=logs)
    endpoint = launcher.endpoint(name, timeout_seconds=source.start_seconds or 900.0)
    try:
        with _remote(
            FixedLauncher({}, otherwise=endpoint), algorithm or name, source.origin, traits
        ) as target:
            yield target
    finally:
        launcher.close()


@contextmanager
def _remote(launcher: Launcher, algorithm: str, place: str, traits: Traits) -> Iterator[Target]:
    from katibpy.errors import InvalidSettings, ServiceError
    from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
    from katibpy.testing.algorithm_cases import MIXED, experiment
    from katibpy.testing.remote_subject import RemoteSubject

    gateway = GrpcSuggestionGateway(launcher)
    subject = RemoteSubject(
        algorithm,
        gateway,
        settings=traits.settings,
        said_to_learn=traits.learns,
        repeats=traits.repeats,
        call_seconds=traits.call_seconds,
        parameters=traits.parameters,
    )
    try:
        try:
            is_extended = gateway.has_extensions(
                experiment(subject, MIXED), timeout_seconds=traits.call_seconds
            )
        except InvalidSettings:
            is_extended = True  # only who knows the method can refuse what it is asked with
        except ServiceError as error:
            raise BadInput(f"there is nobody to ask: {error}") from error
        yield Target(subject, place, is_extended)
    finally:
        gateway.close()


def _of_catalogue(name: str, traits: Traits) -> Target:
    from katibpy.catalog import ALGORITHMS, find
    from katibpy.testing.algorithm_subject import CatalogSubject

    row = find(ALGORITHMS, name)
    place = f"distribution {row.distribution}" if row.distribution else "katibpy itself"
    return Target(CatalogSubject(name, traits.settings), place)


def _must_take_some(subject: Subject) -> None:
    from katibpy.errors import ServiceError
    from katibpy.testing.algorithm_cases import kind_spaces, taken_of
    from katibpy.testing.algorithm_subject import NotApplicableError

    try:
        taken_of(subject, kind_spaces().values())
    except NotApplicableError as refusal:
        raise BadInput(f"nothing can be asked: {refusal}; see --settings and --parameters") from refusal
    except ServiceError as error:
        raise BadInput(f"nothing can be asked: {error}") from error


def _parameters(file: Path | None) -> tuple[ParameterSpec, ...]:
    if file is None:
        return ()
    import yaml
    from pydantic import TypeAdapter, ValidationError

    from katibpy.api.experiment import ParameterSpec

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return TypeAdapter(tuple[ParameterSpec, ...]).validate_python(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise BadInput(f"--parameters {file} must be a list of parameters: {error}") from error


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadInput(f"--settings must be KEY=VALUE, got {word!r}")
        pairs[name] = value
    return pairs


def _chosen(names: Sequence[str], checks: Sequence[Check]) -> Sequence[Check]:
    from katibpy.catalog import nearest

    known = {check.name: check for check in checks}
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"promises: {', '.join(known)}"
            raise BadInput(f"there is no promise {name!r}; {hint}")
    return [known[name] for name in names] or checks
