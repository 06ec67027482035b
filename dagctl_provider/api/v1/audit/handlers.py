"""What each operation on the record of changes does: call one service, say the answer."""

from __future__ import annotations

from dataclasses import fields

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.models import Lines
from dagctl_provider.api.v1.audit import schemas
from dagctl_provider.services import audit
from dagctl_provider.services.audit import AuditFilter


def list_entries(call: Call) -> Result:
    query: schemas.AuditParameters = call.query
    wanted = AuditFilter(**{part.name: getattr(query, part.name) for part in fields(AuditFilter)})
    found = audit.list_entries(call.actor, wanted, query.before, query.limit)
    return 200, schemas.AuditList(entries=[schemas.entry(record) for record in found.items], next_before=found.next_before)


def export(call: Call) -> Result:
    query: schemas.ExportParameters = call.query
    return 200, Lines(lines=[schemas.entry(record) for record in audit.export(call.actor, query.after, query.limit)])
