"""API tokens: ``dctl_`` + 40 random characters + a 6-character checksum; only a hash is stored.

The fixed prefix and the checksum let secret scanners find leaked tokens without asking us, and let us refuse a mistyped one
without asking the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from datetime import timedelta
from typing import Any

from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.permissions import ROLES, Actor, permissions_of
from dagctl_provider.services.results import Token, TokenCreated
from dagctl_provider.store import records, tables, transactions
from dagctl_provider.store.rows import TokenRow
from dagctl_provider.store.session import Session, utcnow

PREFIX = "dctl_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET = re.compile(r"^dctl_([0-9A-Za-z]{40})([0-9A-Za-z]{6})$")
_LAST_USED_RESOLUTION = timedelta(minutes=1)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _hash(secret: str) -> str:
    # The secret has 238 random bits: a fast hash is enough, there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _view(row: TokenRow) -> Token:
    shown: dict[str, Any] = {name: value for name, value in row.items() if name in Token.__dataclass_fields__}
    return Token(**shown)


def create_token(
    organization_id: str, name: str, role: str, created_by: str, expires_in: timedelta | None = None
) -> TokenCreated:
    """Make a token. Its secret is in the answer and nowhere else.

    :param role: One of :data:`~dagctl_provider.domain.permissions.ROLES`.
    :param expires_in: From now; ``None`` for a token that does not expire.
    :raises DagctlError: ``invalid_request`` or ``not_found``.
    """
    if role not in ROLES:
        raise DagctlError("invalid_request", f"Role must be one of {', '.join(ROLES)}.")
    if not 1 <= len(name.strip()) <= 255 or not name.isprintable():
        raise DagctlError("invalid_request", "A token name has 1 to 255 printable characters.")
    if expires_in is not None and expires_in <= timedelta(0):
        raise DagctlError("invalid_request", "A token cannot expire before it is made.")
    body = "".join(secrets.choice(_ALPHABET) for _ in range(40))
    secret = f"{PREFIX}{body}{_checksum(body)}"

    def work(session: Session) -> Token:
        if records.get_organization(session, identifier=organization_id) is None:
            raise not_found("Organization", organization_id)
        now = utcnow()
        identifier = new_id("tok_")
        records.insert_row(
            session,
            tables.api_token,
            id=identifier,
            organization_id=organization_id,
            name=name.strip(),
            role=role,
            prefix=secret[:9],
            token_hash=_hash(secret),
            created_by=created_by,
            created_at=now,
            expires_at=now + expires_in if expires_in else None,
        )
        row = records.get_token(session, identifier=identifier)
        assert row is not None
        return _view(row)

    return TokenCreated(transactions.run(work), secret)


def list_tokens(organization_id: str) -> list[Token]:
    """All tokens of an organization, also revoked and expired ones, oldest first."""
    return [_view(row) for row in transactions.run(lambda session: records.list_tokens(session, organization_id))]


def revoke_token(organization_id: str, token_id: str) -> Token:
    """Make a token useless from now on. Revoking twice is as good as once.

    :raises DagctlError: ``not_found``.
    """

    def work(session: Session) -> Token:
        row = records.get_token(session, identifier=token_id)
        if row is None or row["organization_id"] != organization_id:
            raise not_found("Token", token_id)
        if row["revoked_at"] is None:
            row["revoked_at"] = utcnow()
            records.update_token(session, token_id, revoked_at=row["revoked_at"])
        return _view(row)

    return transactions.run(work)


def authenticate(secret: str, organization_id: str) -> Actor:
    """The actor behind a token.

    Unknown, revoked and expired tokens and a foreign organization all answer the same, so that nothing can be probed.

    :raises DagctlError: ``unauthenticated``.
    """
    refused = DagctlError("unauthenticated", "The token is not valid for this organization.")
    match = _SECRET.match(secret)
    if match is None or not hmac.compare_digest(_checksum(match[1]), match[2]):
        raise refused

    def work(session: Session) -> TokenRow | None:
        row = records.get_token(session, token_hash=_hash(secret))
        now = utcnow()
        if row is None or row["organization_id"] != organization_id or row["revoked_at"] is not None:
            return None
        if row["expires_at"] is not None and row["expires_at"] <= now:
            return None
        if row["last_used_at"] is None or now - row["last_used_at"] > _LAST_USED_RESOLUTION:
            records.update_token(session, row["id"], last_used_at=now)
        return row

    row = transactions.run(work)
    if row is None:
        raise refused
    return Actor("token", row["id"], row["name"], row["organization_id"], permissions_of(row["role"]))
