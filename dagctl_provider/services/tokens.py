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
from dataclasses import replace
from datetime import timedelta

from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.permissions import ROLES, Actor, permissions_of
from dagctl_provider.domain.tokens import Token
from dagctl_provider.services.results import TokenCreated
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import tokens as token_rows
from dagctl_provider.store import transactions
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
        if organization_rows.get_organization(session, identifier=organization_id) is None:
            raise not_found("Organization", organization_id)
        now = utcnow()
        token = Token(
            id=new_id("tok_"),
            organization_id=organization_id,
            name=name.strip(),
            role=role,
            prefix=secret[:9],
            created_at=now,
            created_by=created_by,
            expires_at=now + expires_in if expires_in else None,
        )
        token_rows.insert_token(session, token, _hash(secret))
        return token

    return TokenCreated(transactions.run(work), secret)


def list_tokens(organization_id: str) -> list[Token]:
    """All tokens of an organization, also revoked and expired ones, oldest first."""
    return transactions.run(lambda session: token_rows.list_tokens(session, organization_id))


def revoke_token(organization_id: str, token_id: str) -> Token:
    """Make a token useless from now on. Revoking twice is as good as once.

    :raises DagctlError: ``not_found``.
    """

    def work(session: Session) -> Token:
        token = token_rows.get_token(session, identifier=token_id)
        if token is None or token.organization_id != organization_id:
            raise not_found("Token", token_id)
        if token.revoked_at is not None:
            return token
        now = utcnow()
        token_rows.update_token(session, token_id, revoked_at=now)
        return replace(token, revoked_at=now)

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

    def work(session: Session) -> Token | None:
        token = token_rows.get_token(session, token_hash=_hash(secret))
        now = utcnow()
        if token is None or token.organization_id != organization_id or token.revoked_at is not None:
            return None
        if token.expires_at is not None and token.expires_at <= now:
            return None
        if token.last_used_at is None or now - token.last_used_at > _LAST_USED_RESOLUTION:
            token_rows.update_token(session, token.id, last_used_at=now)
        return token

    found = transactions.run(work)
    if found is None:
        raise refused
    return Actor("token", found.id, found.name, found.organization_id, permissions_of(found.role))
