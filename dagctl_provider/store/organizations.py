"""Rows of organizations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from dagctl_provider.store import tables


def get_organization(session: Session, *, identifier: str | None = None, name: str | None = None) -> dict[str, Any] | None:
    """An organization by id or by name."""
    c = tables.organization.c
    row = session.execute(select(*c).where(c.id == identifier if identifier is not None else c.name == name)).first()
    return dict(row._mapping) if row else None


def list_organizations(session: Session) -> list[dict[str, Any]]:
    """All organizations, oldest first."""
    c = tables.organization.c
    return [dict(row._mapping) for row in session.execute(select(*c).order_by(c.created_at, c.id))]


def insert_organization(session: Session, **values: Any) -> None:
    """Add an organization row. The name's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.organization).values(**values))
