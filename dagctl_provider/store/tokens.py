"""Rows of API tokens, as :class:`~dagctl_provider.domain.tokens.Token`; of a secret only the hash is stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.tokens import Token
from dagctl_provider.store import tables
from dagctl_provider.store.session import StaleState, changed

_COLUMNS = tuple(c for c in tables.api_token.c if c.name != "token_hash")


def _token(row: Any) -> Token:
    limits = row.project_ids
    return Token(**{**row._mapping, "project_ids": tuple(limits) if limits is not None else None})


def get_token(session: Session, *, token_hash: str | None = None, identifier: str | None = None) -> Token | None:
    """A token by the hash of its secret, or by id."""
    c = tables.api_token.c
    condition = c.token_hash == token_hash if token_hash is not None else c.id == identifier
    row = session.execute(select(*_COLUMNS).where(condition)).first()
    return _token(row) if row else None


def list_tokens(session: Session, organization_id: str) -> list[Token]:
    """The tokens of an organization, oldest first."""
    c = tables.api_token.c
    query = select(*_COLUMNS).where(c.organization_id == organization_id).order_by(c.created_at, c.id)
    return [_token(row) for row in session.execute(query)]


def update_token(session: Session, token_id: str, **values: object) -> None:
    """Change columns of a token."""
    session.execute(update(tables.api_token).where(tables.api_token.c.id == token_id).values(**values))


def change_active(session: Session, token: Token, **values: object) -> None:
    """Change columns of a token that is neither revoked nor rotated otherwise than was read.

    :raises StaleState: when it is, meanwhile.
    """
    c = tables.api_token.c
    replaced = c.replaced_by.is_(None) if token.replaced_by is None else c.replaced_by == token.replaced_by
    still = (c.id == token.id, c.revoked_at.is_(None), replaced)
    if changed(session, update(tables.api_token).where(*still).values(**values)) != 1:
        raise StaleState(f"Token {token.id} was changed meanwhile")


def insert_token(session: Session, token: Token, token_hash: str) -> None:
    """Add a token.

    :param token_hash: By which its secret is recognised.
    """
    session.execute(insert(tables.api_token).values(**asdict(token), token_hash=token_hash))
