"""Examples of the record of changes."""

from __future__ import annotations

ENTRY = {
    "number": 42,
    "at": "2026-04-28T10:05:00Z",
    "actor_kind": "user",
    "actor_id": "7",
    "actor_name": "Ada",
    "door": "page",
    "source": "10.1.2.3",
    "verb": "changed",
    "object_kind": "project",
    "object_id": "proj_01abc",
    "object_name": "analytics",
    "project_id": "proj_01abc",
    "before": {"auto_apply": False},
    "after": {"auto_apply": True},
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
LIST = {"entries": [ENTRY], "next_before": 42}
