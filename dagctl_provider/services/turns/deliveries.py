"""Delivers what is to be told of plans and runs to those outside who want to hear.

It was written down by :mod:`~dagctl_provider.services.lifecycle.telling` and ``run_telling`` beside it.

It is done by threads of the API server that leads, at least once: a process that dies between telling and noting that it told is
replaced by one that tells again. A decision never waits for any of this.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any

from dagctl_provider.domain.names import RUN, task_of
from dagctl_provider.domain.notifications import CLAIM, KEPT, RETRY_SECONDS, RUN_EVENTS, SLACK, Notification, Target, retry_at
from dagctl_provider.orchestration.contexts import run_facts, task_facts
from dagctl_provider.services.lifecycle.telling import targets
from dagctl_provider.services.turns import slack, webhooks
from dagctl_provider.store import notifications as notification_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

_BATCH = 100
_CHANNELS = Target(SLACK, frozenset(RUN_EVENTS))
"""All Slack channels that jobs name: they share a connection, so they take turns like one target."""
_CLEAN_SECONDS = 3600.0
_LOOK_SECONDS = 10.0
"""Between two looks where there are no targets: only channels of jobs may wait then, and the database is left alone."""


class Deliverer:
    """Delivers what is due. One thread per target: a slow one delays nobody else, and each hears in the order of events."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[threading.Thread, float]] = {}
        self._clean_at = self._look_at = 0.0

    def turn(self) -> None:
        """Start what is due now, without waiting for it."""
        if not targets() and time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._clean()
        now = utcnow()
        due = transactions.run(lambda session: notification_rows.due_notifications(session, now, _BATCH))
        by_target: dict[str, list[Notification]] = {}
        for notification in due:
            by_target.setdefault(notification.target, []).append(notification)
        for name, notifications in by_target.items():
            if not self._is_busy(name):
                thread = threading.Thread(target=_deliver_all, args=(notifications,), name=f"dagctl-notify-{name}", daemon=True)
                self._running[name] = (thread, time.monotonic())
                thread.start()

    def join(self, seconds: float) -> None:
        """Wait for what is under way, at most so long."""
        deadline = time.monotonic() + seconds
        for thread, _ in self._running.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _is_busy(self, name: str) -> bool:
        thread, since = self._running.get(name, (None, 0.0))
        # A notifier that hangs cannot be stopped, only left behind; how often that happens is limited by the number of attempts.
        return thread is not None and thread.is_alive() and time.monotonic() - since < CLAIM.total_seconds()

    def _clean(self) -> None:
        if time.monotonic() >= self._clean_at:
            self._clean_at = time.monotonic() + _CLEAN_SECONDS
            transactions.run(lambda session: notification_rows.drop_notifications(session, utcnow() - KEPT))


def _deliver_all(notifications: list[Notification]) -> None:
    started = time.monotonic()
    for notification in notifications:
        # What is left is due still, and another thread may be at it by then.
        if time.monotonic() - started > CLAIM.total_seconds() / 2:
            return
        try:
            deliver(notification)
        except Exception:
            log.exception("A notification could not be handled; it is tried again")


def deliver(notification: Notification) -> None:
    """Deliver one notification if nobody else is doing that, and note how it went."""
    attempt = notification.attempts + 1
    now = utcnow()
    # Should this process die or hang meanwhile, that counts as a failure, with the pause of one.
    lost_at = max(now + CLAIM, retry_at(attempt, now) or now)
    if not transactions.run(lambda session: notification_rows.claim_notification(session, notification, lost_at)):
        return
    target = next((target for target in (*targets(), _CHANNELS) if target.name == notification.target), None)
    if target is None:
        outcome: dict[str, Any] = {"status": "dropped", "error": "The target is no longer in [dagctl] notifiers."}
    elif attempt > len(RETRY_SECONDS) + 1:
        outcome = {"status": "failed", "error": "Every attempt was lost."}
    else:
        outcome = _attempt(target, notification, attempt)
    transactions.run(lambda session: notification_rows.end_notification(session, notification.id, attempt, **outcome))


def _attempt(target: Target, notification: Notification, attempt: int) -> dict[str, Any]:
    try:
        _send(target, notification.payload)
    except Exception as error:
        # What a notifier says may hold what is secret; what the import says does not.
        tellable = isinstance(error, (webhooks.WebhookError, slack.SlackError, ImportError))
        text = str(error) if tellable else f"{type(error).__name__} in {target.notifier}"
        again = retry_at(attempt, utcnow())
        log.warning(
            "Notifier %s was not told of %s (%s), attempt %d: %s; %s",
            target.name,
            notification.event,
            notification.payload.get("event_id"),
            attempt,
            text,
            f"again at {again:%H:%M:%S} UTC" if again else "given up",
        )
        return {"due_at": again, "error": text} if again else {"status": "failed", "error": text}
    return {"status": "delivered", "error": None}


def _send(target: Target, payload: dict[str, Any]) -> None:
    if target is _CHANNELS:
        slack.deliver(payload)
        return
    if target.webhook_conn_id:
        webhooks.deliver(target.webhook_conn_id, payload["event_id"], payload)
        return
    module, _, name = target.notifier.rpartition(".")
    notifier: Callable[[dict[str, Any]], Any] = getattr(import_module(module), name)(**copy.deepcopy(dict(target.kwargs)))
    notifier(_context(payload))


def _context(payload: dict[str, Any]) -> dict[str, Any]:
    """What templates in a notifier's arguments see.

    Under ``dagctl`` everything about the event; the rest under the names that contexts of Airflow have, as far as it is true
    here: no task runs in this process, so what there is to say of Dag run and task instance are values, as in the contexts of
    Airflow's own deadline alerts, and there is no Dag object.
    """
    moment = datetime.fromisoformat(payload["occurred_at"])
    run, task = transactions.run(lambda session: _in_airflow(session, payload))
    found = {
        "dag_run": run,
        "ti": task,
        "task_instance": task,
        "exception": payload.get("error_message") if payload["event"] in ("failed", "run_failed") else None,
    }
    return {
        "dagctl": dict(payload),
        "dag": None,
        "run_id": payload.get("run_id"),
        "ts": moment.isoformat(),
        "ds": f"{moment:%Y-%m-%d}",
        **{name: value for name, value in found.items() if value is not None},
    }


def _in_airflow(session: Session, payload: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if "run_id" not in payload:
        return None, None
    place, task_id = (payload["dag_id"], payload["run_id"]), task_of(payload["plan_type"]) if "plan_type" in payload else RUN
    return run_facts(session, *place), task_facts(session, *place, task_id)
