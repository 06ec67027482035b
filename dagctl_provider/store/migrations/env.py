"""Runs the migrations of the ``dagctl_*`` tables inside Airflow's database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from airflow import settings
from alembic import context
from sqlalchemy import MetaData

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
    with settings.engine.connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True, **_OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
