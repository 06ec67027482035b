"""Rows of invitations, as :class:`~dagctl_provider.domain.invitations.Invitation`; of a secret only the hash is stored."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.invitations import Invitation
from dagctl_provider.store import tables
from dagctl_provider.store.session import StaleState, changed

_c = tables.invitation.c
_COLUMNS = tuple(_c[one.name] for one in fields(Invitation))


def get_invitation(
    session: Session, *, identifier: str | None = None, token_hash: str | None = None, pending_key: str | None = None
) -> Invitation | None:
    """An invitation by id, by the hash of its secret, or by what only an open one has."""
    given = {"id": identifier, "token_hash": token_hash, "pending_key": pending_key}
    conditions = [_c[name] == value for name, value in given.items() if value is not None]
    row = session.execute(select(*_COLUMNS).where(*conditions)).first()
    return Invitation(**row._mapping) if row is not None else None


def list_open(session: Session, organization_id: str) -> list[Invitation]:
    """Invitations that were neither accepted nor withdrawn, newest first; also those that have expired."""
    own = (_c.organization_id == organization_id, _c.accepted_at.is_(None), _c.withdrawn_at.is_(None))
    query = select(*_COLUMNS).where(*own).order_by(_c.created_at.desc(), _c.id)
    return [Invitation(**row._mapping) for row in session.execute(query)]


def insert_invitation(session: Session, invitation: Invitation, *, token_hash: str, pending_key: str) -> None:
    """Add an invitation. That an address has one open at most is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.invitation).values(**asdict(invitation), token_hash=token_hash, pending_key=pending_key))


def change_open(session: Session, invitation: Invitation, **values: object) -> None:
    """Change columns of an invitation that is neither accepted nor withdrawn.

    :raises StaleState: when it is, meanwhile.
    """
    still = (_c.id == invitation.id, _c.accepted_at.is_(None), _c.withdrawn_at.is_(None))
    if changed(session, update(tables.invitation).where(*still).values(**values)) != 1:
        raise StaleState(f"Invitation {invitation.id} is over")


def note_sent(session: Session, invitation_id: str, token_hash: str, at: datetime) -> None:
    """Note that a link was sent, unless another one has taken its place."""
    session.execute(update(tables.invitation).where(_c.id == invitation_id, _c.token_hash == token_hash).values(sent_at=at))
