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
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, invalid_field, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.permissions import Actor, known_role, permissions_of, system_actor
from dagctl_provider.domain.tokens import (
    LONGEST_LIFE,
    LONGEST_OVERLAP,
    MOST_PROJECTS,
    OVERLAP,
    Token,
    may_manage,
    require_may_manage,
)
from dagctl_provider.services.lifecycle import auditing
from dagctl_provider.services.lifecycle.people import present_role
from dagctl_provider.services.results import TokenCreated, TokenRotated
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import projects as project_rows
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
    """Make a token, for who runs this Airflow: at the command line, nobody has to be asked.

    :param created_by: For the record.
    """
    system = replace(system_actor(organization_id, created_by), door="command_line")
    return create(system, name, role, expires_in=expires_in)


def create(
    actor: Actor,
    name: str,
    role: str,
    *,
    project_ids: Sequence[str] | None = None,
    expires_in: timedelta | None = None,
) -> TokenCreated:
    """Make a token of the actor's organization. Its secret is in the answer and nowhere else.

    :param role: One of :data:`~dagctl_provider.domain.permissions.ROLES`, at most the actor's own.
    :param project_ids: The projects that it is limited to; ``None`` for all of the organization.
    :param expires_in: From now; ``None`` for a token that does not expire.
    :raises DagctlError: ``invalid_request``, ``not_found``, ``forbidden``.
    """
    actor.require("manage_tokens")
    wanted = known_role(role)
    _check_name(name)
    _check_life(expires_in)
    limits = None if project_ids is None else tuple(dict.fromkeys(project_ids))
    secret = _new_secret()

    def work(session: Session) -> Token:
        asking = present_role(session, actor, "manage_tokens")
        require_may_manage(asking, wanted, limits)
        if organization_rows.get_organization(session, identifier=actor.organization_id) is None:
            raise not_found("Organization", actor.organization_id)
        _check_projects(session, asking, limits)
        now = utcnow()
        token = Token(
            id=new_id("tok_"),
            organization_id=actor.organization_id,
            name=name.strip(),
            role=wanted,
            prefix=secret[:9],
            created_at=now,
            created_by=_maker(session, actor),
            expires_at=now + expires_in if expires_in else None,
            project_ids=limits,
        )
        token_rows.insert_token(session, token, _hash(secret))
        auditing.record(session, asking, "created", _subject(token), after=_told(token))
        return token

    return TokenCreated(transactions.run(work), secret)


def _maker(session: Session, actor: Actor) -> str:
    """Who answers for a token that an actor makes: a person by their id here, however many tokens lie between.

    The rules of approval count a person and their tokens as one, so this must be nothing that somebody may choose.
    """
    if actor.kind == "token":
        own = token_rows.get_token(session, identifier=actor.identifier)
        return own.created_by if own is not None else actor.name
    return actor.user_id or actor.name


def _check_name(name: str) -> None:
    if not 1 <= len(name.strip()) <= 255 or not name.isprintable():
        raise invalid_field("name", "must have 1 to 255 printable characters")


def _check_life(expires_in: timedelta | None) -> None:
    if expires_in is not None and not timedelta(0) < expires_in <= LONGEST_LIFE:
        raise invalid_field("expires_in_days", f"must be between now and {LONGEST_LIFE.days} days")


def _check_projects(session: Session, actor: Actor, project_ids: Sequence[str] | None) -> None:
    """Refuse limits that would let a token see nothing, or that name what there is not."""
    if project_ids is None:
        return
    if not 1 <= len(project_ids) <= MOST_PROJECTS:
        raise invalid_field("project_ids", f"must name 1 to {MOST_PROJECTS} projects; leave it out for all of the organization")
    present = {project.id for project in project_rows.list_projects(session, actor.organization_id) if actor.sees(project.id)}
    if unknown := [one for one in project_ids if one not in present]:
        raise invalid_field("project_ids", f"there is no project {unknown[0][:64]!r}")


def _subject(token: Token) -> Subject:
    return Subject("token", token.id, token.name)


def _told(token: Token) -> dict[str, object]:
    """What the record of changes has of a token."""
    return {"role": token.role, "project_ids": token.project_ids, "expires_at": token.expires_at}


def list_tokens(actor: Actor) -> list[Token]:
    """The tokens of the organization that the actor may manage, also revoked and expired ones, oldest first."""
    actor.require("manage_tokens")
    found = transactions.run(lambda session: token_rows.list_tokens(session, actor.organization_id))
    limited = actor.project_ids is not None
    # People and tokens of the whole organization see all of them; what they may do to each is another question.
    return [token for token in found if not limited or may_manage(actor, token.role, token.project_ids)]


def revoke(actor: Actor, token_id: str) -> Token:
    """Make a token useless from now on. Revoking twice is as good as once.

    :raises DagctlError: ``not_found``, ``forbidden`` for a token above the actor's own role.
    """
    actor.require("manage_tokens")

    def work(session: Session) -> Token:
        asking = present_role(session, actor, "manage_tokens")
        token = _manageable(session, asking, token_id)
        if token.revoked_at is not None:
            return token
        now = utcnow()
        token_rows.change_active(session, token, revoked_at=now)
        auditing.record(session, asking, "revoked", _subject(token), before=_told(token))
        return replace(token, revoked_at=now)

    return transactions.run(work)


def rotate(actor: Actor, token_id: str, overlap: timedelta = OVERLAP) -> TokenRotated:
    """Make a token of the same kind that takes another one's place. The former one is good for a while, so that nothing stops.

    :param overlap: How long the former one is good; not longer than it would have been anyway. The new one lives as long as the
        former was meant to.
    :raises DagctlError: ``not_found``, ``forbidden``, ``token_not_active`` for one that is revoked, expired or rotated already.
    """
    actor.require("manage_tokens")
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise invalid_field("overlap_hours", f"must be between 0 and {LONGEST_OVERLAP // timedelta(hours=1)}")
    secret = _new_secret()

    def work(session: Session) -> TokenRotated:
        asking = present_role(session, actor, "manage_tokens")
        former, now = _manageable(session, asking, token_id), utcnow()
        if not former.is_active(now) or former.replaced_by is not None:
            raise DagctlError("token_not_active", f"Token {former.name!r} is revoked, expired or rotated already.")
        until = now + overlap if former.expires_at is None else min(now + overlap, former.expires_at)
        life = former.expires_at - former.created_at if former.expires_at is not None else None
        token = replace(
            former,
            id=new_id("tok_"),
            prefix=secret[:9],
            created_at=now,
            created_by=_maker(session, actor),
            expires_at=now + life if life is not None else None,
            last_used_at=None,
        )
        token_rows.change_active(session, former, replaced_by=token.id, expires_at=until)
        token_rows.insert_token(session, token, _hash(secret))
        before, after = {"token_id": former.id}, {"token_id": token.id, "former_expires_at": until, **_told(token)}
        auditing.record(session, asking, "rotated", _subject(former), before=before, after=after)
        return TokenRotated(token, secret, replace(former, replaced_by=token.id, expires_at=until))

    return transactions.run(work)


def _manageable(session: Session, actor: Actor, token_id: str) -> Token:
    """A token of the actor's organization that they may rotate and revoke.

    :raises DagctlError: ``not_found``, also for what lies outside of a limited token's projects; ``forbidden``.
    """
    token = token_rows.get_token(session, identifier=token_id)
    if token is None or token.organization_id != actor.organization_id:
        raise not_found("Token", token_id)
    if actor.project_ids is not None and not may_manage(actor, token.role, token.project_ids):
        raise not_found("Token", token_id)
    require_may_manage(actor, token.role, token.project_ids)
    return token


def _new_secret() -> str:
    body = "".join(secrets.choice(_ALPHABET) for _ in range(40))
    return f"{PREFIX}{body}{_checksum(body)}"


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
        if token is None or token.organization_id != organization_id or not token.is_active(now):
            return None
        if token.last_used_at is None or now - token.last_used_at > _LAST_USED_RESOLUTION:
            token_rows.update_token(session, token.id, last_used_at=now)
        return token

    found = transactions.run(work)
    if found is None:
        raise refused
    return Actor(
        "token",
        found.id,
        found.name,
        found.organization_id,
        permissions_of(found.role),
        role=found.role,
        project_ids=frozenset(found.project_ids) if found.project_ids is not None else None,
    )
