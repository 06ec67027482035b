"""Members and tokens of an organization, as rows: what rules are judged by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, update

from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.services import tokens
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import utcnow


def member(organization_id: str, name: str, role: Any = "developer", email: str | None = None) -> Actor:
    """Somebody of the organization, who is known to Airflow by the name in small letters."""
    user_id, now = f"user_{name.lower()}", utcnow()
    address = email or f"{name.lower()}@example.com"

    def work(session: Any) -> None:
        session.execute(
            insert(tables.user).values(
                id=user_id, airflow_id=name.lower(), email=address, name=name, created_at=now, updated_at=now
            )
        )
        session.execute(
            insert(tables.member).values(
                organization_id=organization_id, user_id=user_id, role=role, created_at=now, updated_at=now
            )
        )

    transactions.run(work)
    return Actor("user", name.lower(), name, organization_id, permissions_of(role), role, user_id, address)


def becomes(actor: Actor, role: Any) -> Actor:
    """The same person in another role."""
    c = tables.member.c
    transactions.run(lambda session: session.execute(update(tables.member).where(c.user_id == actor.user_id).values(role=role)))
    return Actor("user", actor.identifier, actor.name, actor.organization_id, permissions_of(role), role, actor.user_id)


def leaves(actor: Actor) -> None:
    """They are no member any more."""
    c = tables.member.c
    transactions.run(lambda session: session.execute(delete(tables.member).where(c.user_id == actor.user_id)))


def token(organization_id: str, name: str, role: Any = "developer", created_by: str = "somebody") -> Actor:
    """A token that is worth something."""
    made = tokens.create_token(organization_id, name, role, created_by).token
    return Actor("token", made.id, name, organization_id, permissions_of(role), role)
