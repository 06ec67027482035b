"""Lets ``airflow db migrate`` make and upgrade the tables (named in provider info under ``db-managers``)."""

from __future__ import annotations

from pathlib import Path

from airflow.utils.db_manager import BaseDBManager

from dagctl_provider.store.tables import metadata

_STORE = Path(__file__).parent


class DagctlDBManager(BaseDBManager):
    """Migrations of the ``dagctl_*`` tables, kept apart from Airflow's by a version table of their own."""

    metadata = metadata
    version_table_name = "alembic_version_dagctl"
    migration_dir = (_STORE / "migrations").as_posix()
    alembic_file = (_STORE / "alembic.ini").as_posix()
    supports_table_dropping = True
    revision_heads_map = {"0.1.0": "d4c70a8b2f01"}
