"""Lets ``airflow db migrate`` make and upgrade the tables (named in provider info under ``db-managers``)."""

from __future__ import annotations

from pathlib import Path

from airflow.utils.db_manager import BaseDBManager
from alembic import command

from dagctl_provider.store.tables import metadata

_STORE = Path(__file__).parent


class DagctlDBManager(BaseDBManager):
    """Migrations of the ``dagctl_*`` tables, kept apart from Airflow's by a version table of their own."""

    metadata = metadata
    version_table_name = "alembic_version_dagctl"
    migration_dir = (_STORE / "migrations").as_posix()
    alembic_file = (_STORE / "alembic.ini").as_posix()
    supports_table_dropping = True
    revision_heads_map = {"0.1.0": "5d2f8be1a9c3"}

    def downgrade(self, to_revision: str, from_revision: str | None = None, show_sql_only: bool = False) -> None:
        """Go back to an earlier revision; ``airflow db-manager downgrade`` asks for it.

        :param to_revision: Of Alembic; ``base`` takes the tables away.
        :param from_revision: Where SQL that is only shown begins.
        :param show_sql_only: Print the SQL rather than run it.
        :raises ValueError: for ``from_revision`` without ``show_sql_only``.
        """
        if from_revision and not show_sql_only:
            raise ValueError("from_revision is for SQL that is only shown; a real downgrade begins where the database is.")
        # Airflow's methods have no types.
        begin = f"{from_revision or self.get_current_revision()}:" if show_sql_only else ""  # type: ignore[no-untyped-call]
        command.downgrade(self.get_alembic_config(), revision=f"{begin}{to_revision}", sql=show_sql_only)  # type: ignore[no-untyped-call]
