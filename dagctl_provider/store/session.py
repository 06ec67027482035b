"""The one way to a database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from airflow.utils.session import create_session
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

__all__ = ["IntegrityError", "OperationalError", "Session", "transaction", "utcnow"]


@contextmanager
def transaction() -> Iterator[Session]:
    """A session that commits when the block ends and rolls back when it raises.

    Not the thread's scoped session: Airflow functions called inside would commit and close that one half-way.
    """
    with create_session(scoped=False) as session:
        yield session


def utcnow() -> datetime:
    """The time, aware and UTC."""
    return datetime.now(timezone.utc)
