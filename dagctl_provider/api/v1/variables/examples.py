"""Examples of environment variables."""

from __future__ import annotations

from typing import Any

CREATE: dict[str, Any] = {"name": "SNOWFLAKE_PASSWORD", "value": "…"}
CREATE_FILE: dict[str, Any] = {
    "name": "SNOWFLAKE_KEY",
    "value": "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n",
    "mount_as_file": True,
    "file_mount_path": "/secrets/snowflake/rsa_key.p8",
    "file_permissions": 384,
    "environments": ["prod"],
}
_TIMES = {"created_at": "2026-04-28T10:00:00Z", "updated_at": "2026-04-28T10:00:00Z"}
VARIABLE: dict[str, Any] = {"name": "SNOWFLAKE_PASSWORD", "value": "***", "is_sensitive": True, "mount_as_file": False, **_TIMES}
FILE: dict[str, Any] = {**CREATE_FILE, "value": "***", "is_sensitive": True, **_TIMES}
LIST: dict[str, Any] = {"environment_variables": [FILE, VARIABLE], "total": 2}
UPDATE: dict[str, Any] = {"value": "…", "environments": None}
DELETED: dict[str, Any] = {"message": "Environment variable deleted successfully"}
