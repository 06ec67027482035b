"""Runs the migrations of the ``dagctl_*`` tables inside Airflow's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from airflow import settings
from alembic import context
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from dagctl_provider.store.manager import DagctlDBManager


def include_object(_obj: object, name: str | None, type_: str, *_: object) -> bool:
    """Keep autogenerate away from Airflow's tables."""
    return type_ != "table" or name in DagctlDBManager.metadata.tables


class _Options(TypedDict):
    target_metadata: MetaData
    version_table: str
    include_object: Callable[..., bool]
    render_as_batch: bool
    compare_type: bool


_OPTIONS: _Options = {
    "target_metadata": DagctlDBManager.metadata,
    "version_table": DagctlDBManager.version_table_name,
    "include_object": include_object,
    "render_as_batch": True,
    "compare_type": True,
}


def run_offline() -> None:
    """Print the SQL (``airflow db migrate --show-sql-only``)."""
    context.configure(url=settings.SQL_ALCHEMY_CONN, literal_binds=True, **_OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run against the database, one transaction per migration."""
    if settings.engine is None:
        raise RuntimeError("Airflow has no connection to its database")
    with settings.engine.connect() as connection, _tables_may_be_made_anew(connection):
        context.configure(connection=connection, transaction_per_migration=True, **_OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def _tables_may_be_made_anew(connection: Connection) -> Iterator[None]:
    """Let SQLite look at no foreign key while tables change.

    Most changes of a table are a new table there, and dropping the old one would delete what refers to its rows. The switch does
    nothing inside a transaction, so it stands around all of them.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    (before,) = driver.execute("PRAGMA foreign_keys").fetchone()
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA foreign_keys = {before}")


if context.is_offline_mode():
    run_offline()
else:
    run_online()
