"""The rows of the record of changes: what can be asked, by whom, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import LINES, Operation
from dagctl_provider.api.v1.audit import examples, handlers, schemas
from dagctl_provider.api.v1.common import ok

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/audit",
        "list_audit",
        "Audit",
        "List changes and decisions",
        "read_audit",
        handlers.list_entries,
        ok(schemas.AuditList, examples.LIST, "One page, newest first"),
        query=schemas.AuditParameters,
        description="Entries are never changed or removed.",
    ),
    Operation(
        "GET",
        "/audit/export",
        "export_audit",
        "Audit",
        "Export changes and decisions",
        "read_audit",
        handlers.export,
        ok(schemas.AuditEntryAnswer, examples.ENTRY, "One entry a line, oldest first"),
        query=schemas.ExportParameters,
        media_type=LINES,
        description="JSON lines. To go on, or to fetch only what is new, send the number of the last line as `after`.",
    ),
)
