"""The one way to a database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from airflow.utils.session import create_session
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.sql import Executable

__all__ = ["Session", "StaleState", "is_lost_race", "limit_lock_waits", "rows_written", "transaction", "utcnow"]

LOCK_SECONDS = 15.0


class StaleState(Exception):
    """A row no longer had the state that a change expected; nothing was written."""


@contextmanager
def transaction() -> Iterator[Session]:
    """A session that commits when the block ends and rolls back when it raises.

    Not the thread's scoped session: Airflow functions called inside would commit and close that one half-way.
    """
    with create_session(scoped=False) as session:
        yield session


def limit_lock_waits(session: Session) -> None:
    """Have this transaction give up a lock that it cannot get for long, from now on.

    Who holds it may be paused, or on a machine that is gone, which PostgreSQL notices after hours; threads that wait for it would
    soon be all there are. MySQL and SQLite have such limits of their own.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}"))


def is_lost_race(error: Exception) -> bool:
    """Whether a transaction failed because another one was faster, so that running it again can help.

    A unique key that was taken meanwhile; a deadlock or a lock the database gave up (SQLite: "database is locked").
    """
    if isinstance(error, IntegrityError):
        text = str(error.orig)
        return getattr(error.orig, "pgcode", None) == "23505" or "UNIQUE constraint" in text or "Duplicate entry" in text
    return isinstance(error, OperationalError) and not error.connection_invalidated


def rows_written(session: Session, statement: Executable) -> int:
    """Run a statement that writes; how many rows it was about."""
    result: Any = session.execute(statement)
    return int(result.rowcount)


def utcnow() -> datetime:
    """The time, aware and UTC."""
    return datetime.now(timezone.utc)
