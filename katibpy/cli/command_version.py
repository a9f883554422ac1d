"""`katib version`: what runs here."""

from __future__ import annotations

import json
import platform

import click

from katibpy import __version__
from katibpy.api.model import API_VERSION
from katibpy.cli.options import output_option
from katibpy.cli.verbosity import verbose_option


@click.command()
@output_option("table", "json")
@verbose_option
def version(output: str) -> None:
    """Prints the version of katibpy, of the resources it reads, and of Python."""
    facts = {
        "katibpy": __version__,
        "apiVersion": API_VERSION,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:{width}}  {value}")
