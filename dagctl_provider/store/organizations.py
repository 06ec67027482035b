"""Rows of organizations, as :class:`~dagctl_provider.domain.organizations.Organization`."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.organizations import Organization
from dagctl_provider.store import tables


def get_organization(session: Session, *, identifier: str | None = None, name: str | None = None) -> Organization | None:
    """An organization by id or by name."""
    c = tables.organization.c
    row = session.execute(select(*c).where(c.id == identifier if identifier is not None else c.name == name)).first()
    return Organization(**row._mapping) if row else None


def list_organizations(session: Session) -> list[Organization]:
    """All organizations, oldest first."""
    c = tables.organization.c
    return [Organization(**row._mapping) for row in session.execute(select(*c).order_by(c.created_at, c.id))]


def insert_organization(session: Session, organization: Organization) -> None:
    """Add an organization. The name's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.organization).values(**asdict(organization)))


def hold_organization(session: Session, identifier: str) -> None:
    """Hold an organization's row until the transaction is over, so that one after the other changes its members.

    A write that changes nothing rather than a locked read, which SQLite does not have.
    """
    c = tables.organization.c
    session.execute(update(tables.organization).where(c.id == identifier).values(name=c.name))
