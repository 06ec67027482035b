"""Rows that one process, or one transaction, holds at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from dagctl_provider.store import tables
from dagctl_provider.store.session import limit_lock_waits, rows_written, utcnow


def take_lease(session: Session, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or extend a lease; true when ``holder`` has it until ``until``.

    One conditional statement decides, so two processes can ask at the same time. The first row of all may be inserted
    twice; the loser's transaction fails on the primary key and it asks again on its next turn.
    """
    c = tables.lease.c
    statement = update(tables.lease).where(c.name == name, or_(c.holder == holder, c.expires_at < now))
    if rows_written(session, statement.values(holder=holder, expires_at=until)) == 1:
        return True
    if session.execute(select(exists().where(c.name == name))).scalar():
        return False
    session.execute(insert(tables.lease).values(name=name, holder=holder, expires_at=until))
    return True


def touch_lock(session: Session, name: str) -> None:
    """Hold the row ``name`` until the transaction ends; whoever else touches it waits.

    A write rather than ``SELECT … FOR UPDATE``, because SQLite locks on writes only.
    """
    limit_lock_waits(session)
    now = utcnow()
    if not rows_written(session, update(tables.lease).where(tables.lease.c.name == name).values(expires_at=now)):
        session.execute(insert(tables.lease).values(name=name, holder="lock", expires_at=now))


def drop_lease(session: Session, name: str, holder: str) -> None:
    """Give a lease back, so that another process need not wait for it to run out."""
    session.execute(delete(tables.lease).where(tables.lease.c.name == name, tables.lease.c.holder == holder))
