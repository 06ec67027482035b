"""The migrations make exactly the tables that the code uses, on SQLite and on PostgreSQL, and take them away again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from dagctl_provider.store.manager import DagctlDBManager

SCRIPT = """
from airflow import settings
from airflow.utils.session import create_session
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from dagctl_provider.store.manager import DagctlDBManager

def include_object(_, name, kind, *__):
    return kind != "table" or name in DagctlDBManager.metadata.tables

settings.configure_orm()
with create_session() as session:
    manager = DagctlDBManager(session)
    config = manager.get_alembic_config()
command.upgrade(config, "head")
with settings.engine.connect() as connection:
    context = MigrationContext.configure(
        connection,
        opts={"include_object": include_object, "version_table": manager.version_table_name, "compare_type": True},
    )
    print("DIFFERENCES", compare_metadata(context, manager.metadata))
with create_session() as session:
    print("CHECKED", DagctlDBManager(session).check_migration())
with create_session() as session:
    DagctlDBManager(session).downgrade("base")
print("LEFT", [name for name in inspect(settings.engine).get_table_names() if name.startswith("dagctl")])
"""


def migrate(address: str, home: Path) -> list[str]:
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("DIFFERENCES", "CHECKED", "LEFT")]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrations_and_tables_agree(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        address = f"sqlite:///{tmp_path}/airflow.db"
        sqlite3.connect(tmp_path / "airflow.db").close()
    else:
        server = request.getfixturevalue("postgres")
        address = f"postgresql+psycopg2://postgres@/{server.new_database()}?host={server.host}"
    assert migrate(address, tmp_path) == ["DIFFERENCES []", "CHECKED True", "LEFT []"]


@pytest.mark.parametrize("dialect", ["mysql", "postgresql", "sqlite"])
def test_tables_go_with_their_indexes(dialect: str) -> None:
    """MySQL refuses to drop an index that a foreign key needs, after it has dropped others for good."""
    migration = import_module("dagctl_provider.store.migrations.versions.0001_0_1_0_initial")
    statements: dict[str, list[str]] = {}
    for direction in ("upgrade", "downgrade"):
        written = StringIO()
        context = MigrationContext.configure(dialect_name=dialect, opts={"as_sql": True, "output_buffer": written})
        with Operations.context(context):
            getattr(migration, direction)()
        statements[direction] = [text.split("(")[0].strip() for text in written.getvalue().split(";") if text.strip()]
    made = [text.removeprefix("CREATE TABLE ") for text in statements["upgrade"] if text.startswith("CREATE TABLE ")]
    assert set(made) == set(DagctlDBManager.metadata.tables)
    assert sorted(statements["downgrade"]) == sorted(f"DROP TABLE {name}" for name in made)
