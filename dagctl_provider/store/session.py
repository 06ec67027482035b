"""The one way to a database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from airflow.utils.session import create_session
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

__all__ = ["Session", "is_lost_race", "transaction", "utcnow"]


@contextmanager
def transaction() -> Iterator[Session]:
    """A session that commits when the block ends and rolls back when it raises.

    Not the thread's scoped session: Airflow functions called inside would commit and close that one half-way.
    """
    with create_session(scoped=False) as session:
        yield session


def is_lost_race(error: Exception) -> bool:
    """Whether a transaction failed because another one was faster, so that running it again can help.

    A unique key that was taken meanwhile; a deadlock or a lock the database gave up (SQLite: "database is locked").
    """
    if isinstance(error, IntegrityError):
        text = str(error.orig)
        return getattr(error.orig, "pgcode", None) == "23505" or "UNIQUE constraint" in text or "Duplicate entry" in text
    return isinstance(error, OperationalError) and not error.connection_invalidated


def utcnow() -> datetime:
    """The time, aware and UTC."""
    return datetime.now(timezone.utc)
