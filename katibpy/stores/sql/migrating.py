"""Bringing an older schema up to date with Alembic; imported only when there is one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from katibpy.errors import StoreError
from katibpy.stores.sql.schema import REVISION

FOLDER = Path(__file__).parent / "migrations"


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration: the packaged migrations, run on the connection."""
    config = Config()
    # A percent sign in the path would be read as an interpolation.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migrate(connection: Connection, revision: str | None, *, name: str) -> None:
    """Migrates to the newest schema within the connection's transaction.

    Args:
        connection: in a transaction that holds the write lock.
        revision: the schema's present revision, None for an empty database.
        name: the database, for messages.

    Raises:
        StoreError: the schema is not known, that is, newer than this program.
    """
    config = configuration(connection)
    if revision is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(revision)
        except CommandError as err:
            raise StoreError(
                f"the database {name} must have schema {REVISION} or an older one, got {revision}: it was "
                "written by a newer katibpy, so update katibpy or use another folder"
            ) from err
    command.upgrade(config, "head")
