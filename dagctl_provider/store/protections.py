"""Rows of protected environments, and of whoever their rules are judged by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.protections import Exceptions, Protection, key_of
from dagctl_provider.domain.rules import stored_rules
from dagctl_provider.domain.standings import Member, People, TokenOf
from dagctl_provider.store import tables
from dagctl_provider.store.session import changed, utcnow

_COLUMNS = tuple(c for c in tables.protection.c if c.name != "environment_key")


def _protection(row: Any) -> Protection:
    values = {**row._mapping, "exceptions": Exceptions.stored(row.exceptions), "rules": stored_rules(row.rules)}
    return Protection(**values)


def _values(protection: Protection) -> dict[str, Any]:
    return {
        "environment_name": protection.environment_name,
        "environment_key": key_of(protection.environment_name),
        "enabled": protection.enabled,
        "exceptions": protection.exceptions.to_json(),
        "rules": protection.rules.to_json(),
        "updated_at": protection.updated_at,
    }


def get_protection(session: Session, identifier: str, *, lock: bool = False) -> Protection | None:
    """A protection, or ``None``.

    :param lock: Hold its row until the transaction ends.
    """
    query = select(*_COLUMNS).where(tables.protection.c.id == identifier)
    row = session.execute(query.with_for_update() if lock else query).first()
    return _protection(row) if row else None


def list_protections(session: Session, organization_id: str, *, enabled: bool = False) -> tuple[Protection, ...]:
    """The protections of an organization, by name.

    :param enabled: Only those that are switched on.
    """
    c = tables.protection.c
    query = select(*_COLUMNS).where(c.organization_id == organization_id).order_by(c.environment_key)
    return tuple(_protection(row) for row in session.execute(query.where(c.enabled.is_(True)) if enabled else query))


def insert_protection(session: Session, protection: Protection) -> None:
    """Add a protection. That there is one for an environment is the database's to judge (``IntegrityError``)."""
    own = {name: getattr(protection, name) for name in ("id", "organization_id", "created_by", "created_at")}
    session.execute(insert(tables.protection).values(**own, **_values(protection)))
    session.flush()


def update_protection(session: Session, protection: Protection) -> bool:
    """Write a protection as the record has it.

    :return: Whether it is still there.
    """
    statement = update(tables.protection).where(tables.protection.c.id == protection.id).values(**_values(protection))
    return bool(changed(session, statement))


def delete_protection(session: Session, identifier: str) -> None:
    """Remove a protection."""
    session.execute(delete(tables.protection).where(tables.protection.c.id == identifier))


def people(session: Session, organization_id: str) -> People:
    """Everybody of an organization, as they are now."""
    return People(_members(session, organization_id), _tokens(session, organization_id, utcnow()))


def _members(session: Session, organization_id: str) -> Iterable[Member]:
    member, user = tables.member.c, tables.user.c
    both = tables.member.join(tables.user, user.id == member.user_id)
    query = select(user.id, user.airflow_id, user.name, user.email, member.role).select_from(both)
    here = query.where(member.organization_id == organization_id, member.removed_at.is_(None))
    for row in session.execute(here.order_by(user.name, user.id)):
        yield Member(row.id, row.airflow_id, row.name, row.role, row.email)


def _tokens(session: Session, organization_id: str, now: datetime) -> Iterable[TokenOf]:
    c = tables.api_token.c
    query = select(c.id, c.name, c.role, c.created_by, c.project_ids).where(
        c.organization_id == organization_id, c.revoked_at.is_(None), or_(c.expires_at.is_(None), c.expires_at > now)
    )
    for row in session.execute(query.order_by(c.name, c.id)):
        limits = None if row.project_ids is None else tuple(row.project_ids)
        yield TokenOf(row.id, row.name, row.role, row.created_by, limits)


def known_environments(session: Session, organization_id: str) -> set[str]:
    """The environments that plans of an organization lead or led to, by the names that are on record."""
    step, deployment, project = tables.plan_step.c, tables.deployment.c, tables.project.c
    planned = select(step.environment).where(step.organization_id == organization_id).distinct()
    both = tables.deployment.join(tables.project, project.id == deployment.project_id)
    deployed = select(deployment.environment).select_from(both).where(project.organization_id == organization_id).distinct()
    # Of projects whose own files name the environment, only what they explained says it.
    told = (
        select(step.plan_output["environment"].as_string())
        .where(step.organization_id == organization_id, step.environment == "", step.plan_type == "explain")
        .where(step.digest.is_not(None))
        .distinct()
    )
    return {name for query in (planned, deployed, told) for name in session.execute(query).scalars() if name}
