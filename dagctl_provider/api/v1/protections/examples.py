"""Examples of requests and answers about protected environments, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

ITEM: dict[str, Any] = {
    "id": "ep_abc123",
    "organization_id": "org-xxxxxxxx",
    "environment_name": "prod",
    "enabled": True,
    "created_by": "user_abc123",
    "created_at": "2026-04-28T10:00:00Z",
    "updated_at": "2026-04-28T10:00:00Z",
}
RULES: dict[str, Any] = {
    "quorum": 2,
    "forbid_author": True,
    "groups": [{"name": "finance", "quorum": 1, "user_ids": ["user_def456"], "paths": ["models/finance/"]}],
    "windows": [
        {"kind": "allow", "cron": "0 8 * * 1-5", "duration_minutes": 480, "time_zone": "Europe/Berlin"},
        {"kind": "deny", "from": "2026-12-19", "until": "2027-01-03", "time_zone": "Europe/Berlin"},
    ],
    "override": True,
}
PROTECTION: dict[str, Any] = {
    **ITEM,
    "excepted_users": [{"user_id": "user_abc123", "email": "ada@example.com"}],
    "excepted_roles": ["owner"],
    "excepted_token_ids": [],
    "rules": RULES,
}
LIST: dict[str, Any] = {"protections": [ITEM], "total": 1}
CHECK: dict[str, Any] = {"allowed": True, "environment": "prod"}
CREATE: dict[str, Any] = {"environment_name": "prod", "excepted_user_ids": ["user_abc123"]}
CREATE_WITH_RULES: dict[str, Any] = {"environment_name": "prod", "excepted_roles": ["owner", "developer"], "rules": RULES}
DELETED: dict[str, Any] = {"message": "Environment protection deleted successfully"}
