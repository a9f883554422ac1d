"""How Alembic runs the migrations: on the connection it is given, inside that connection's transaction."""

from __future__ import annotations

from alembic import context

from katibpy.stores.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes most tables by copying them.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
