"""Rows of API tokens; of a secret only the hash."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.store import tables


def get_token(session: Session, *, token_hash: str | None = None, identifier: str | None = None) -> dict[str, Any] | None:
    """A token row by the hash of its secret, or by id."""
    c = tables.api_token.c
    condition = c.token_hash == token_hash if token_hash is not None else c.id == identifier
    row = session.execute(select(*c).where(condition)).first()
    return dict(row._mapping) if row else None


def list_tokens(session: Session, organization_id: str) -> list[dict[str, Any]]:
    """The tokens of an organization, oldest first."""
    c = tables.api_token.c
    query = select(*c).where(c.organization_id == organization_id).order_by(c.created_at, c.id)
    return [dict(row._mapping) for row in session.execute(query)]


def update_token(session: Session, token_id: str, **values: Any) -> None:
    """Change columns of a token."""
    session.execute(update(tables.api_token).where(tables.api_token.c.id == token_id).values(**values))


def insert_token(session: Session, **values: Any) -> None:
    """Add a token row."""
    session.execute(insert(tables.api_token).values(**values))
