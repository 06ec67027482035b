"""What is still to be told about plans, and for a while what was: :class:`~dagctl_provider.domain.notifications.Notification`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.notifications import Notification
from dagctl_provider.store import tables
from dagctl_provider.store.session import changed, utcnow


def insert_notification(session: Session, **values: object) -> None:
    """Note that something is to be told."""
    now = utcnow()
    session.execute(insert(tables.notification).values(status="waiting", attempts=0, due_at=now, created_at=now, **values))


def due_notifications(session: Session, now: datetime, limit: int) -> list[Notification]:
    """What is to be told by now, longest due first."""
    c = tables.notification.c
    query = select(*c).where(c.status == "waiting", c.due_at <= now).order_by(c.due_at, c.id).limit(limit)
    return [Notification(**row._mapping) for row in session.execute(query)]


def claim_notification(session: Session, notification: Notification, until: datetime) -> bool:
    """Make a notification one's own until a moment; false when another process was faster."""
    c = tables.notification.c
    mine = (c.id == notification.id, c.status == "waiting", c.attempts == notification.attempts)
    values = {"attempts": notification.attempts + 1, "due_at": until}
    return changed(session, update(tables.notification).where(*mine).values(**values)) == 1


def end_notification(session: Session, notification_id: str, attempts: int, **values: object) -> None:
    """Note how a delivery ended, unless somebody else has taken the notification over since."""
    c = tables.notification.c
    session.execute(update(tables.notification).where(c.id == notification_id, c.attempts == attempts).values(**values))


def drop_notifications(session: Session, created_before: datetime) -> None:
    """Forget what was delivered or given up long ago."""
    c = tables.notification.c
    session.execute(delete(tables.notification).where(c.status != "waiting", c.created_at < created_before))
