"""What is told when a plan moves or a run ends: the events, who hears of which, and how a webhook proves where it is from."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

EVENTS: Mapping[str, str] = {
    "pending": "A plan was explained and waits for a decision.",
    "approved": "A plan was approved, by somebody or by auto_apply, or an approval was kept; its execution starts.",
    "rejected": "A plan was rejected by somebody.",
    "discarded": "A plan that waited was discarded, because the repository or the deployed state moved on.",
    "cancelled": "An explain or an execute step was stopped, or an approval was withdrawn.",
    "failed": "An explain or an execute step failed.",
    "completed": "A plan was executed to its end.",
    "run_failed": "A run of a job that tells of its runs failed, or was cancelled.",
    "run_succeeded": "A run of a job that tells of its runs succeeded.",
}
"""Every event and when it happens. Those of plans have the name of the step's new status, but for what nobody rejected."""

RUN_EVENTS = ("run_failed", "run_succeeded")
"""Of jobs that say so. A notifier of Airflow gets them where its target names them: the texts of others are about plans."""
PLAN_EVENTS = tuple(event for event in EVENTS if event not in RUN_EVENTS)

SLACK = "slack:"
"""In place of the name of a target: the channel that a job names. No target can be called so."""

_EVENT_OF: Mapping[tuple[str, str], str] = {
    ("explain", "pending"): "pending",
    ("explain", "approved"): "approved",
    ("explain", "rejected"): "rejected",
    ("explain", "cancelled"): "cancelled",
    ("explain", "failed"): "failed",
    ("execute", "cancelled"): "cancelled",
    ("execute", "failed"): "failed",
    ("execute", "completed"): "completed",
}

RETRY_SECONDS = (5, 30, 120, 600, 1800, 3600, 10800, 21600)
"""Pauses after the first, second, ... failed delivery; when they are used up, the notification is given up (after 11.5 hours)."""

CLAIM = timedelta(seconds=90)
"""How long a delivery may take before another process believes that it died and delivers again."""

KEPT = timedelta(days=7)
"""How long delivered and given-up notifications stay on record."""

SIGNATURE_HEADER = "X-Dagctl-Signature"
TIMESTAMP_HEADER = "X-Dagctl-Timestamp"
EVENT_ID_HEADER = "X-Dagctl-Event-Id"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_MEMBERS = frozenset({"name", "events", "projects", "class", "kwargs", "webhook_conn_id"})


@dataclass(frozen=True)
class Notification:
    """Something that is to be told to one target, or was.

    :param target: Name of the :class:`Target`, or :data:`SLACK`.
    :param payload: What is told.
    :param status: ``waiting``, ``delivered``, ``failed`` or ``dropped``.
    :param attempts: How often its delivery was begun.
    :param due_at: When it may be tried next; while somebody delivers it, when that somebody is believed dead.
    :param error: Why the last attempt failed.
    """

    id: str
    target: str
    event: str
    payload: dict[str, Any]
    status: str
    attempts: int
    due_at: datetime
    created_at: datetime
    error: str | None = None


@dataclass(frozen=True)
class Target:
    """Somebody who wants to hear: one object of ``[dagctl] notifiers``.

    :param name: Tells targets apart; what is under way finds its target again by it.
    :param events: Names from :data:`EVENTS`.
    :param projects: Patterns for names of projects; ``*`` and ``?`` stand for anything.
    :param notifier: Import path of a class that follows Airflow's ``BaseNotifier``; empty for a webhook.
    :param kwargs: Arguments of that class.
    :param webhook_conn_id: Airflow connection with the address of a webhook and the secret it is signed with.
    """

    name: str
    events: frozenset[str]
    projects: tuple[str, ...] = ("*",)
    notifier: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    webhook_conn_id: str = ""

    def wants(self, event: str, project_name: str) -> bool:
        """Whether this event of this project is for it. Names of projects differ in more than case, so case does not count."""
        return event in self.events and any(fnmatchcase(project_name.lower(), pattern.lower()) for pattern in self.projects)


class InvalidNotifiers(ValueError):
    """``[dagctl] notifiers`` cannot be understood; the text says where and why."""


def event_of(plan_type: str, status: str, auto_discarded: bool = False) -> str | None:
    """The event that a step's new status is, or ``None`` when nobody is told."""
    return "discarded" if auto_discarded else _EVENT_OF.get((plan_type, status))


def parse_targets(text: str) -> tuple[Target, ...]:
    """Read ``[dagctl] notifiers``.

    :param text: A JSON list of objects; empty means nobody.
    :raises InvalidNotifiers: naming the entry. Nothing of the arguments is repeated, for they may hold what is secret.
    """
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidNotifiers(f"no JSON: {error}") from None
    if not isinstance(entries, list):
        raise InvalidNotifiers("not a JSON list of objects")
    targets = tuple(_target(entry, f"entry {number}") for number, entry in enumerate(entries, 1))
    if len({target.name for target in targets}) != len(targets):
        raise InvalidNotifiers("two entries have the same name")
    return targets


def _target(entry: object, where: str) -> Target:
    if not isinstance(entry, dict):
        raise InvalidNotifiers(f"{where} is not an object")
    unknown = sorted(set(entry) - _MEMBERS)
    if unknown:
        raise InvalidNotifiers(f"{where} has the unknown member {unknown[0]!r}; known are {', '.join(sorted(_MEMBERS))}")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidNotifiers(f"{where} needs a 'name' of letters, digits, '.', '_' and '-'")
    unless_named = PLAN_EVENTS if entry.get("class") else tuple(EVENTS)
    events = _texts(entry.get("events", list(unless_named)), f"'events' of {name}")
    if not set(events) <= set(EVENTS):
        raise InvalidNotifiers(f"'events' of {name} may be {', '.join(EVENTS)}")
    projects = _texts(entry.get("projects", ["*"]), f"'projects' of {name}")
    notifier, conn_id, kwargs = entry.get("class", ""), entry.get("webhook_conn_id", ""), entry.get("kwargs", {})
    if not isinstance(notifier, str) or not isinstance(conn_id, str) or bool(notifier) == bool(conn_id):
        raise InvalidNotifiers(f"{name} needs either a 'class' or a 'webhook_conn_id'")
    if notifier and not _CLASS.fullmatch(notifier):
        raise InvalidNotifiers(f"'class' of {name} is not an import path")
    if not isinstance(kwargs, dict) or (conn_id and kwargs):
        raise InvalidNotifiers(f"'kwargs' of {name} is for a 'class', and an object")
    return Target(name, frozenset(events), projects, notifier, kwargs, conn_id)


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise InvalidNotifiers(f"{what} is not a list of texts")
    return tuple(value)


def retry_at(attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many failed deliveries; ``None`` when enough is enough."""
    return now + timedelta(seconds=RETRY_SECONDS[attempts - 1]) if attempts <= len(RETRY_SECONDS) else None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of :data:`SIGNATURE_HEADER`: ``sha256=`` and HMAC-SHA256, in hex, over time stamp, a full stop and the body.

    :param timestamp: Seconds since 1970 as in :data:`TIMESTAMP_HEADER`. It is signed too, so that a receiver can refuse old
        requests that somebody sends again.
    """
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
