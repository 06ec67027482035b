"""Adds to the record of changes, in the transaction of the change.

Called last in a transaction: it holds the end of the organization's record until the transaction is over, and locks are taken in
one order, projects first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dagctl_provider.domain.audit import START, AuditEntry, AuditHead, Subject, seal_of, told
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import audit as audit_rows
from dagctl_provider.store.session import Session, utcnow


def record(
    session: Session,
    actor: Actor,
    verb: str,
    what: Subject,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Note that somebody changed or decided something.

    :param verb: ``created``, ``changed``, ``removed`` and so on.
    :param what: What it was done to.
    :param before: What it was, without secrets.
    :param after: What it is now, without secrets.
    :param reason: What was said with it.
    """
    head = audit_rows.locked_head(session, actor.organization_id)
    number, previous = (head.number + 1, head.hash) if head is not None else (1, START)
    now = utcnow()
    entry = AuditEntry(
        organization_id=actor.organization_id,
        number=number,
        at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        actor_kind=actor.kind,
        actor_id=actor.identifier[:255],
        actor_name=actor.name[:255],
        door=actor.door,
        source=actor.source[:64] if actor.source else None,
        verb=verb,
        object_kind=what.kind,
        object_id=what.id[:255],
        object_name=what.name[:255],
        project_id=what.project_id,
        before=told(before),
        after=told(after),
        reason=reason,
    )
    entry = replace(entry, hash=entry.hashed(previous))
    seal = seal_of(keys.audit_key(session), actor.organization_id, number, entry.hash)
    audit_rows.append(session, entry, AuditHead(actor.organization_id, number, entry.hash, seal))
    session.flush()


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two states of a thing what differs: as it was, and as it is."""
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in differing}, {name: after.get(name) for name in differing}
