"""The record of changes and decisions: read, exported and verified. Entries are added where something changes
(``lifecycle/auditing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from dagctl_provider.domain import audit
from dagctl_provider.domain.audit import AuditEntry
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import audit as audit_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.audit import AuditFilter
from dagctl_provider.store.session import Session

__all__ = ["AuditFilter", "Entries", "Verdict", "export", "list_entries", "verify"]


@dataclass(frozen=True)
class Entries:
    """Some entries, newest first.

    :param next_before: Where the next page begins; ``None`` when there is none.
    """

    items: tuple[AuditEntry, ...]
    next_before: int | None


@dataclass(frozen=True)
class Verdict:
    """What came out of verifying the record of an organization.

    :param entries: How many there are.
    :param last_hash: Of the newest one; kept elsewhere, it proves later what the record was today.
    :param fault: What is wrong, in words; ``None`` when the record is whole.
    """

    entries: int
    last_hash: str
    fault: str | None


def list_entries(actor: Actor, wanted: AuditFilter, before: int | None = None, limit: int = 50) -> Entries:
    """Entries of the actor's organization, newest first.

    :param before: Only those with a smaller number.
    :raises DagctlError: ``forbidden``.
    """
    _require_reader(actor)

    def work(session: Session) -> Entries:
        found = audit_rows.list_entries(session, actor.organization_id, wanted, before=before, limit=limit + 1)
        return Entries(tuple(found[:limit]), found[limit - 1].number if len(found) > limit else None)

    return transactions.run(work)


def export(actor: Actor, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
    """The entries that come after the number ``after``, in their order; whoever exports goes on after the last one.

    :raises DagctlError: ``forbidden``.
    """
    _require_reader(actor)
    return transactions.run(lambda session: tuple(audit_rows.entries_after(session, actor.organization_id, after, limit)))


def _require_reader(actor: Actor) -> None:
    actor.require("read_audit")
    actor.require_unlimited()


def verify(organization_id: str) -> Verdict:
    """Whether the record of an organization is whole: nothing changed, nothing missing, also at its end."""

    def work(session: Session) -> Verdict:
        head = audit_rows.get_head(session, organization_id)
        entries = audit_rows.all_entries(session, organization_id)
        fault = audit.first_fault(entries, head, keys.audit_key(session), organization_id)
        return Verdict(head.number if head else 0, head.hash if head else audit.START, fault)

    return transactions.run(work)
