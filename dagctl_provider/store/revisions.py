"""Whether the tables are those of this version. After an upgrade they are not, until somebody runs ``airflow db migrate``; each
request would otherwise end with an error of the database that says nothing of that.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.store.session import transaction

# A table or a column that is not there: by code on PostgreSQL and MySQL, in words on SQLite.
_CODES = frozenset({"42P01", "42703", 1146, 1054})
_WORDS = ("no such table", "no such column", "has no column named")


def require_migrated(error: Exception) -> None:
    """Say it plainly when a statement failed because the tables are those of another version.

    :param error: What the statement raised.
    :raises DagctlError: ``database_not_migrated``.
    """
    if not _misses_something(error):
        return
    # Here, since it brings Airflow's migrations along.
    from dagctl_provider.store.manager import DagctlDBManager

    known = tuple(DagctlDBManager.revision_heads_map.values())[-1]
    found = _revision(DagctlDBManager.version_table_name)
    if found != known:
        raise DagctlError("database_not_migrated", "The tables in Airflow's database are not those of this version.") from error


def _misses_something(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    codes = {getattr(error.orig, "pgcode", None), *getattr(error.orig, "args", ())[:1]}
    return bool(codes & _CODES) or any(words in str(error.orig) for words in _WORDS)


def _revision(table: str) -> str | None:
    """What the migrations left as the present revision; ``None`` where they have never run."""
    try:
        with transaction() as session:
            found: str | None = session.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608 - ours
            return found
    except SQLAlchemyError:
        return None
