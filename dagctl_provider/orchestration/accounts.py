"""Airflow's users, where they are rows of its database: with the FAB auth manager."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session


class Account(NamedTuple):
    """A user of the FAB auth manager."""

    id: str
    username: str
    email: str | None


def find_account(session: Session, text: str) -> Account | None:
    """An active user by name or, failing that, by id."""
    from airflow.providers.fab.auth_manager.models import User

    query = select(User.id, User.username, User.email).where(User.active.is_(True))
    found = [Account(str(row.id), row.username, row.email) for row in session.execute(query.where(User.username == text))]
    if not found and text.isascii() and text.isdigit() and len(text) < 10:
        found = [Account(str(row.id), row.username, row.email) for row in session.execute(query.where(User.id == int(text)))]
    return found[0] if found else None
