"""Secrets of the API server. What stands here is encrypted (:mod:`dagctl_provider.orchestration.encryption`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.store import tables
from dagctl_provider.store.session import utcnow

_c = tables.secret.c


@dataclass(frozen=True)
class PublicHalf:
    """What workers may know of a key that signs.

    :param public: As text.
    :param retired_at: When it signed last; ``None`` while it signs.
    """

    name: str
    public: str
    retired_at: datetime | None


def read_secret(session: Session, name: str) -> str | None:
    """A secret as it was stored, ``None`` when there is none."""
    return session.execute(select(_c.content).where(_c.name == name)).scalar()


def write_secret(session: Session, name: str, content: str, public: str | None = None) -> None:
    """Store a secret, which is encrypted, in place of the one of that name."""
    session.execute(delete(tables.secret).where(_c.name == name))
    session.execute(insert(tables.secret).values(name=name, content=content, public=public, created_at=utcnow()))


def stored_names(session: Session) -> list[str]:
    """Names of the secrets whose content is kept."""
    return list(session.execute(select(_c.name).where(_c.content.is_not(None)).order_by(_c.name)).scalars())


def replace_content(session: Session, name: str, content: str) -> None:
    """Store a secret, which is encrypted, in another form; all else of it stays."""
    session.execute(update(tables.secret).where(_c.name == name, _c.content.is_not(None)).values(content=content))


def public_halves(session: Session) -> list[PublicHalf]:
    """The keys that sign or have signed, newest first."""
    query = select(_c.name, _c.public, _c.retired_at).where(_c.public.is_not(None)).order_by(_c.created_at.desc(), _c.name)
    return [PublicHalf(row.name, row.public, row.retired_at) for row in session.execute(query)]


def retire_all(session: Session) -> None:
    """Forget the private halves of all keys that sign; what they have signed can still be verified."""
    statement = update(tables.secret).where(_c.public.is_not(None), _c.retired_at.is_(None))
    session.execute(statement.values(content=None, retired_at=utcnow()))


def forget_retired(session: Session, before: datetime) -> None:
    """Remove the public halves of keys that were retired before a moment."""
    session.execute(delete(tables.secret).where(_c.retired_at < before))
