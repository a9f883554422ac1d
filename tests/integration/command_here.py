"""The `katib` command in this process, with algorithms that are served for all tests of a session.

For tests of what a command prints and stores. That costs a tenth of what a process of its own and an
algorithm service of its own do, of which other tests tell.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import yaml
from click.testing import CliRunner

from katibpy.cli.main import KatibGroup
from tests.integration.cli_process import CommandLine, Ended

ALGORITHMS = ("random", "grid", "sobol", "tpe", "cmaes")
"""What the shared service is asked for."""


@dataclass(frozen=True, slots=True)
class AlgorithmAddress:
    """A service of the algorithms that runs already.

    Attributes:
        address: host and port.
        configuration: a file that says so, for `--config`.
    """

    address: str
    configuration: Path

    def use_in(self, state_directory: Path) -> None:
        """Makes all that runs in a state directory ask this service."""
        state_directory.mkdir(mode=0o700, parents=True)
        (state_directory / "config.yaml").write_text(self.configuration.read_text())


@contextmanager
def served_algorithms(folder: Path) -> Iterator[AlgorithmAddress]:
    """Runs `katib serve-algorithms` on a free port."""
    with CommandLine(folder).start("serve-algorithms", "--address", "127.0.0.1:0") as running:
        line = running.said("Listening on")
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found is not None, line
        entries = [{"algorithmName": name, "address": found[0]} for name in ALGORITHMS]
        configuration = folder / "algorithms.yaml"
        configuration.write_text(yaml.safe_dump({"suggestions": entries}))
        yield AlgorithmAddress(found[0], configuration)
        running.signal(signal.SIGTERM)
        assert running.end().code == 0


@dataclass(frozen=True, slots=True)
class CommandHere:
    """Calls `katib` in a folder, whose `.katib` is the state directory unless the words name another.

    Attributes:
        folder: the working directory of the command and of its trials.
        algorithms: served for it.
    """

    folder: Path
    algorithms: AlgorithmAddress

    def __call__(self, *arguments: str | Path, **environment: str) -> Ended:
        """Runs a command to its end."""
        settings = {"NO_COLOR": "1", "KATIB_CONFIG": str(self.algorithms.configuration), **environment}
        with chdir(self.folder):
            ended = CliRunner().invoke(_HERE, [str(word) for word in arguments], env=settings)
        return Ended(ended.exit_code, ended.stdout, ended.stderr)


class _Group(KatibGroup):
    """All commands, without the service that `katib run` begins to load before it knows if it needs one."""

    def resolve_command(
        self, ctx: click.Context, args: Sequence[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return args[0], self.get_command(ctx, args[0]), list(args[1:])


_HERE = _Group("katib")
