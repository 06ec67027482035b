"""Empties Airflow's database between tests.

TRUNCATE makes a new file for each table and each index, of which Airflow has hundreds, and was two fifths of the time of the
tests that use the database. A test fills a dozen tables with a few rows each, which are deleted in no time.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import text

#: What `airflow db migrate` fills: people and roles, versions, the default pool.
KEPT = ("ab_", "alembic", "session", "slot_pool", "log_template")


def empty() -> None:
    """Delete all that tests have left, whatever refers to what.

    Numbers given by the database go on, as they do in production; nothing may depend on them.
    """
    from dagctl_provider.store.session import transaction

    with transaction() as session:
        # As TRUNCATE did: wait for whoever still writes, so that nothing comes in afterwards.
        session.execute(text(f"LOCK TABLE {', '.join(_tables())} IN EXCLUSIVE MODE"))
        filled = session.execute(text(_filled_query())).scalars().all()
        # Neither order nor cascades matter then: no foreign key is looked at.
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for name in filled:
            session.execute(text(f"DELETE FROM {name}"))
        session.execute(text("DELETE FROM slot_pool WHERE pool <> 'default_pool'"))


def someone_waits() -> bool:
    """Whether a transaction waits for another."""
    from dagctl_provider.store.session import transaction

    blocked = text("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with transaction() as session:
        return bool(session.execute(blocked).scalar())


@cache
def _tables() -> tuple[str, ...]:
    from airflow.models.base import Base

    from dagctl_provider.store.tables import metadata

    names = [table.name for table in (*Base.metadata.sorted_tables, *metadata.sorted_tables)]
    return tuple(name for name in names if not name.startswith(KEPT))


@cache
def _filled_query() -> str:
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in _tables())
