"""The process that serves algorithms: `python -P -m katibpy.app.algorithm_service`."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from katibpy.app.loading import collection_paused
from katibpy.errors import InputError, ServiceUnavailable, Unsupported
from katibpy.launchers.spare_child import SPARE

with collection_paused():
    from katibpy.rpc.server import ServiceServer
    from katibpy.rpc.server_security import ServerSecurity, read_security
    from katibpy.rpc.suggestion_servicer import SuggestionServicer

_LOG = logging.getLogger(__name__)

DEFAULT_ADDRESS = "127.0.0.1:6789"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM, SIGINT or, supervised, the end of standard input.

    A spare one waits for its task first.

    Returns:
        Exit code: 0 after a stop that was asked for, 2 when the address cannot be served.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == [SPARE]:
        task = _awaited_task()
        if task is None:
            return 0
        words = task
    options = _parser().parse_args(words)
    logging.basicConfig(
        level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    return _serve(options)


def _serve(options: argparse.Namespace) -> int:
    stop, orphaned = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.supervised:
        threading.Thread(
            target=_await_end_of_input, args=(stop, orphaned), name="parent", daemon=True
        ).start()
    try:
        server = ServiceServer(
            SuggestionServicer().handlers(),
            address=f"unix:{options.socket}" if options.socket else options.address,
            thread_limit=options.threads,
            security=_security(options),
            allow_plaintext=options.allow_plaintext,
        )
    except (ServiceUnavailable, InputError) as error:
        _LOG.error("%s", error)
        return 2
    server.start()
    _LOG.info("Listening on %s", server.address)
    if options.supervised:
        _say_ready()
    stop.wait()
    server.stop(grace_seconds=options.grace_seconds)
    if orphaned.is_set() and options.socket:
        _remove_socket(options.socket)
    return 0


def _security(options: argparse.Namespace) -> ServerSecurity | None:
    if options.tls_cert is not None and options.tls_key is not None:
        return read_security(options.tls_cert, options.tls_key, options.token_file)
    if options.tls_cert is not None or options.tls_key is not None:
        raise Unsupported("TLS needs a certificate and its key, got only one of them")
    if options.token_file is not None:
        raise Unsupported("a token needs TLS with a certificate and its key: in plaintext it is no secret")
    return None


def _awaited_task() -> list[str] | None:
    """The arguments that standard input gives, with a log for standard error; None when it ends before."""
    said = b""
    while not said.endswith(b"\n"):
        # Byte by byte: whatever follows the line is not for this.
        read = os.read(sys.stdin.fileno(), 1)
        if not read:
            return None
        said += read
    task = json.loads(said)
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, sys.stderr.fileno())
    os.close(log)
    return [str(word) for word in task["arguments"]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="katibpy.app.algorithm_service", description="Serves search algorithms over gRPC."
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--socket", type=Path, help="path of a Unix socket, in a directory that only you can enter"
    )
    where.add_argument("--address", default=DEFAULT_ADDRESS, help=f"host:port (default {DEFAULT_ADDRESS})")
    parser.add_argument(
        "--allow-plaintext",
        action="store_true",
        help="listen off loopback without TLS, as Katib's controller expects of algorithm services",
    )
    parser.add_argument("--tls-cert", type=Path, help="certificate, PEM, and those that vouch for it")
    parser.add_argument("--tls-key", type=Path, help="its key, PEM")
    parser.add_argument("--token-file", type=Path, help="holds what callers must send as a bearer token")
    parser.add_argument("--threads", type=int, default=16, help="calls worked on at once (default 16)")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=1.0,
        help="how long running calls may take at the end (default 1)",
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    parser.add_argument(
        "--supervised",
        action="store_true",
        help="for a launcher: say by a line on standard output that it listens, end with standard input",
    )
    return parser


def _await_end_of_input(stop: threading.Event, orphaned: threading.Event) -> None:
    # A pipe is the one sign of a parent's end that works after SIGKILL and on every system.
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    orphaned.set()
    stop.set()


def _say_ready() -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, b"listening\n")
    # From here on what is printed belongs into the log, and nobody reads the pipe any more.
    os.dup2(2, 1)


def _remove_socket(path: Path) -> None:
    # After its parent was killed nobody else cleans up.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # An algorithm may still be at work in a thread that the interpreter would wait for.
    os._exit(code)
