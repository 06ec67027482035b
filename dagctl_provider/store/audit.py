"""Rows of the record of changes, as :class:`~dagctl_provider.domain.audit.AuditEntry`: added and read, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from dagctl_provider.domain.audit import AuditEntry, AuditHead
from dagctl_provider.store import tables

_BATCH = 1000


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted; what is ``None`` or empty does not matter.

    :param since: The first moment.
    :param until: The first moment that is too late.
    """

    actor_id: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    project_id: str | None = None
    verb: str | None = None
    door: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def locked_head(session: Session, organization_id: str) -> AuditHead | None:
    """Where the record of an organization ends, held until the transaction is over."""
    c = tables.audit_head.c
    row = session.execute(select(*c).where(c.organization_id == organization_id).with_for_update()).first()
    return AuditHead(**row._mapping) if row else None


def get_head(session: Session, organization_id: str) -> AuditHead | None:
    """Where the record of an organization ends."""
    c = tables.audit_head.c
    row = session.execute(select(*c).where(c.organization_id == organization_id)).first()
    return AuditHead(**row._mapping) if row else None


def append(session: Session, entry: AuditEntry, head: AuditHead) -> None:
    """Add an entry and move the end of the record. The number's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.audit_entry).values(**asdict(entry)))
    if head.number == 1:
        session.execute(insert(tables.audit_head).values(**asdict(head)))
    else:
        c = tables.audit_head.c
        session.execute(update(tables.audit_head).where(c.organization_id == head.organization_id).values(**asdict(head)))


def _conditions(organization_id: str, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    c = tables.audit_entry.c
    found: list[ColumnElement[bool]] = [c.organization_id == organization_id]
    for name in ("actor_id", "object_kind", "object_id", "project_id", "verb", "door"):
        value = getattr(wanted, name)
        if value:
            found.append(c[name] == value)
    if wanted.since is not None:
        found.append(c.at >= wanted.since)
    if wanted.until is not None:
        found.append(c.at < wanted.until)
    return found


def list_entries(
    session: Session, organization_id: str, wanted: AuditFilter, *, before: int | None, limit: int
) -> list[AuditEntry]:
    """Entries, newest first.

    :param before: Only those with a smaller number, so that a page costs the same however far it is from the end.
    """
    c = tables.audit_entry.c
    conditions = _conditions(organization_id, wanted)
    if before is not None:
        conditions.append(c.number < before)
    query = select(*c).where(*conditions).order_by(c.number.desc()).limit(limit)
    return [AuditEntry(**row._mapping) for row in session.execute(query)]


def entries_after(session: Session, organization_id: str, number: int, limit: int) -> list[AuditEntry]:
    """The entries that come after one, in their order."""
    c = tables.audit_entry.c
    query = select(*c).where(c.organization_id == organization_id, c.number > number).order_by(c.number).limit(limit)
    return [AuditEntry(**row._mapping) for row in session.execute(query)]


def all_entries(session: Session, organization_id: str) -> Iterator[AuditEntry]:
    """All entries in their order, some at a time."""
    seen = 0
    while found := entries_after(session, organization_id, seen, _BATCH):
        yield from found
        seen = found[-1].number
