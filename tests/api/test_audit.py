"""The record of changes over REST: the shape of a page, and of the export."""

from __future__ import annotations

import json

import pytest

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
    "object_id": "proj_abc123",
    "object_name": "analytics",
    "project_id": "proj_abc123",
    "before": {"auto_apply": False},
    "after": {"auto_apply": True},
    "hash": "9f" * 32,
}


def test_a_page_of_the_record(ask, services):
    answer = ask("GET", "/audit?limit=1&door=page&since=2026-04-28T00:00:00Z")
    assert (answer.status_code, answer.get_json()) == (200, {"entries": [ENTRY], "next_before": 42})
    ((_, (actor, wanted, before, limit), _),) = services.audit.calls
    assert (actor.role, wanted.door, wanted.since.isoformat(), before, limit) == (
        actor.role,
        "page",
        "2026-04-28T00:00:00+00:00",
        None,
        1,
    )


def test_the_export_is_one_entry_a_line(ask):
    answer = ask("GET", "/audit/export?after=41")
    assert answer.content_type == "application/x-ndjson"
    assert [json.loads(line) for line in answer.get_data(as_text=True).splitlines()] == [ENTRY, ENTRY]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=0", "before"),
        ("before=x", "before"),
        ("door=window", "door"),
        ("since=yesterday", "since"),
        ("actor_id=", "actor_id"),
        ("page=1", "page"),
        ("verb=a%00b", "verb"),
    ],
)
def test_wrong_filters_are_named(ask, services, query, field):
    answer = ask("GET", f"/audit?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [f"query.{field}"]
    assert services.audit.calls == []
