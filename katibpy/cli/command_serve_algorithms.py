"""`katib serve-algorithms`: serves the algorithms of this installation over gRPC."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from katibpy.cli.failures import BAD_INPUT
from katibpy.cli.verbosity import verbose_option, verbosity

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "serve-algorithms",
    epilog="Speaks Katib's gRPC contract (api.v1.beta1.Suggestion) and grpc.health.v1, so that Katib's "
    "controller, another katib and other clients can use the algorithms. SIGTERM and Ctrl-C stop it.",
)
@click.option(
    "--address",
    default="127.0.0.1:6789",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A Unix socket to listen at instead, in a directory that only you can enter.",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate, PEM, and those that vouch for it.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key, PEM.")
@click.option("--token-file", type=_FILE, metavar="FILE", help="Holds the token that callers must send.")
@click.option(
    "--allow-plaintext",
    is_flag=True,
    help="Listen off loopback without TLS and token, as Katib's controller expects it of algorithm services.",
)
@click.option("--threads", default=16, show_default=True, metavar="N", help="Calls worked on at once.")
@verbose_option
@click.pass_context
def serve_algorithms(
    ctx: click.Context,
    address: str,
    socket: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
    allow_plaintext: bool,
    threads: int,
) -> None:
    """Serves all search algorithms, built in and installed, over gRPC.

    Off loopback it needs TLS and a token, or --allow-plaintext where the network is trusted.
    """
    # Late: it brings gRPC and the algorithms' base along.
    from katibpy.app.algorithm_service import main

    words = ["--socket", str(socket)] if socket is not None else ["--address", address]
    for option, file in (("--tls-cert", tls_cert), ("--tls-key", tls_key), ("--token-file", token_file)):
        if file is not None:
            words += [option, str(file)]
    if allow_plaintext:
        words.append("--allow-plaintext")
    level = "DEBUG" if verbosity(ctx) else "INFO"
    code = main([*words, "--threads", str(threads), "--log-level", level])
    logging.shutdown()
    if code:
        ctx.exit(BAD_INPUT)
