"""The page of the record of changes, with filters, and its export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from flask import Response, request

from dagctl_provider.domain.audit import DOORS, AuditEntry
from dagctl_provider.services import audit
from dagctl_provider.services.audit import AuditFilter
from dagctl_provider.ui.organization import section_page
from dagctl_provider.ui.pages import Pages, expose, signed_in

KINDS: Mapping[str, str] = {
    "plan": "Plans",
    "project": "Projects",
    "job": "Jobs",
    "run": "Runs",
    "member": "Members",
    "invitation": "Invitations",
    "token": "Tokens",
    "variable": "Environment variables",
    "protection": "Protections",
    "organization": "Organization",
}
"""What entries are about, with what it is called in the list of filters."""
DOOR_TEXTS: Mapping[str, str] = {
    "rest": "REST",
    "page": "Page",
    "required_actions": "Required Actions",
    "command_line": "Command line",
    "system": "dagctl itself",
}
_BATCH = 1000
_LARGEST = 2**31 - 1


class AuditPages(Pages):
    """The record of changes."""

    @expose("/organization/audit")
    def audit(self) -> Response:
        """Entries, newest first."""
        actor = signed_in("read_audit")
        chosen = {name: request.args.get(name, "").strip()[:255] for name in ("kind", "door", "who", "object", "from", "to")}
        before = request.args.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and 0 < int(before[:11]) <= _LARGEST else None
        found = audit.list_entries(actor, _filter(chosen), number)
        return section_page(
            "audit.html",
            actor,
            "audit",
            entries=[(entry, list(_said(entry))) for entry in found.items],
            next_before=found.next_before,
            later=number is not None,
            chosen=chosen,
            kinds=KINDS,
            doors=DOOR_TEXTS,
        )

    @expose("/organization/audit/export")
    def export(self) -> Response:
        """The whole record as JSON lines, some entries at a time."""
        actor = signed_in("read_audit")
        actor.require_unlimited()

        def lines() -> Iterator[str]:
            after = 0
            while found := audit.export(actor, after, _BATCH):
                for record in found:
                    yield record.as_json() + "\n"
                after = found[-1].number

        name = f"dagctl-audit-{actor.organization_id}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(lines(), 200, headers, content_type="application/x-ndjson")


def _filter(chosen: Mapping[str, str]) -> AuditFilter:
    """The entries that a form asks for; nonsense in it counts as not said."""
    until = _day(chosen["to"])
    return AuditFilter(
        actor_id=chosen["who"] or None,
        object_kind=chosen["kind"] if chosen["kind"] in KINDS else None,
        object_id=chosen["object"] or None,
        door=chosen["door"] if chosen["door"] in DOORS else None,
        since=_day(chosen["from"]),
        until=until + timedelta(days=1) if until is not None else None,
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _said(entry: AuditEntry) -> Iterator[tuple[str, str, str]]:
    """Each field that an entry tells of: its name, what it was and what it is."""
    before, after = (json.loads(text) if text else {} for text in (entry.before, entry.after))
    for name in sorted({*before, *after}):
        yield name, _shown(before.get(name)), _shown(after.get(name))


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
