"""Who is told what: the setting is read strictly, and signatures are those that receivers compute."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from dagctl_provider.domain import notifications
from dagctl_provider.domain.notifications import (
    EVENTS,
    PLAN_EVENTS,
    InvalidNotifiers,
    event_of,
    parse_targets,
    retry_at,
    signature,
)
from dagctl_provider.domain.plans import TRANSITIONS

OPS = {"name": "ops", "webhook_conn_id": "ops_webhook"}


def test_a_target_hears_what_it_asked_for() -> None:
    (target,) = parse_targets(json.dumps([{**OPS, "events": ["pending"], "projects": ["shop*", "Analytics"]}]))
    assert target.wants("pending", "Shop EU")
    assert target.wants("pending", "analytics")
    assert not target.wants("failed", "shop")
    assert not target.wants("pending", "warehouse")


def test_without_more_it_hears_everything() -> None:
    (target,) = parse_targets(json.dumps([OPS]))
    assert all(target.wants(event, "anything") for event in EVENTS)
    assert parse_targets("  ") == ()


WRONG: dict[str, tuple[Any, str]] = {
    "no list": ({}, "not a JSON list"),
    "no object": ([1], "entry 1 is not an object"),
    "no name": ([{"webhook_conn_id": "x"}], "needs a 'name'"),
    "unknown member": ([{**OPS, "url": "https://x"}], "unknown member 'url'"),
    "unknown event": ([{**OPS, "events": ["started"]}], "'events' of ops may be pending"),
    "no events": ([{**OPS, "events": []}], "not a list of texts"),
    "neither": ([{"name": "ops"}], "either a 'class' or a 'webhook_conn_id'"),
    "both": ([{**OPS, "class": "a.B"}], "either a 'class' or a 'webhook_conn_id'"),
    "no path": ([{"name": "ops", "class": "os; print"}], "not an import path"),
    "arguments of a webhook": ([{**OPS, "kwargs": {"a": 1}}], "is for a 'class'"),
    "twice": ([OPS, OPS], "the same name"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_meant_is_refused(kind: str) -> None:
    entries, told = WRONG[kind]
    with pytest.raises(InvalidNotifiers, match=told):
        parse_targets(json.dumps(entries))


def test_every_status_that_ends_or_waits_is_an_event() -> None:
    reached = {(row.plan_type, row.target) for row in TRANSITIONS if row.target not in (None, row.source)}
    assert {event_of(kind, str(status)) for kind, status in reached} == set(PLAN_EVENTS) - {"discarded"}
    assert event_of("explain", "rejected", auto_discarded=True) == "discarded"
    assert event_of("execute", "running") is None


def test_pauses_grow_and_end() -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    pauses = [retry_at(attempt, now) for attempt in range(1, len(notifications.RETRY_SECONDS) + 1)]
    assert pauses == sorted(pause for pause in pauses if pause)
    assert retry_at(len(pauses) + 1, now) is None


def test_the_signature_is_hmac_over_time_and_body() -> None:
    expected = hmac.new(b"secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("secret", "1700000000", b'{"a":1}') == f"sha256={expected}"
