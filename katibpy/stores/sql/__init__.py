"""Stores in a SQL database: SQLite in a file now, written so that PostgreSQL and MySQL can follow.

Here belong tables, statements, migrations and the opening of databases; rules that all stores share live
one package above. SQL that only one database understands stands in `dialects` alone. `app` and `testing`
import it, and late, because SQLAlchemy takes long to load.
"""
