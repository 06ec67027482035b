"""Examples of API tokens for the OpenAPI document; no API document has any."""

from __future__ import annotations

TOKEN = {
    "id": "tok_abc123",
    "organization_id": "org-xxxxxxxx",
    "name": "ci",
    "role": "developer",
    "prefix": "dctl_4Wc0",
    "project_ids": ["proj_abc123"],
    "created_by": "user_abc123",
    "created_at": "2026-01-15T10:00:00Z",
    "expires_at": "2026-04-15T10:00:00Z",
    "last_used_at": "2026-02-26T08:00:00Z",
}
TOKENS = {"tokens": [TOKEN], "total": 1}
CREATE = {"name": "ci", "role": "developer", "project_ids": ["proj_abc123"], "expires_in_days": 90}
_SECRET = "dctl_…"  # noqa: S105 - shown in place of one
CREATED = {"token": TOKEN, "secret": _SECRET}
ROTATE = {"overlap_hours": 24}
ROTATED = {
    "token": {**TOKEN, "id": "tok_def456", "created_at": "2026-02-26T08:00:00Z", "expires_at": "2026-05-27T08:00:00Z"},
    "secret": _SECRET,
    "former": {**TOKEN, "expires_at": "2026-02-27T08:00:00Z", "replaced_by": "tok_def456"},
}
REVOKED = {"token": {**TOKEN, "revoked_at": "2026-02-26T08:00:00Z"}, "message": "Token revoked successfully"}
