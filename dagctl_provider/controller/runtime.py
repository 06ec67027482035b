"""Starts and stops the controller with the API server.

A thread, not a task of the event loop: everything it does is blocking database and git work.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.orchestration import approvals
from dagctl_provider.orchestration.pods import ClusterUnavailable
from dagctl_provider.services import (
    answers,
    detection,
    dispatching,
    notifications,
    organizations,
    pods,
    publishing,
    reconcile,
    runs,
    transactions,
)
from dagctl_provider.store import records
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

LEASE = "controller"
_LEASE_SECONDS = 20.0
_INDEX_SECONDS = 60.0
_HISTORY_SECONDS = 60.0
_DELIVERY_SECONDS = 5.0
_SWEEP_SECONDS = 15.0
_SWEEP_AGAIN_SECONDS = 600.0


class Controller:
    """Ticks while it holds the lease: dispatches, pulls results, handles answers, polls git.

    :param holder: Name of this process in the lease row.
    """

    def __init__(self, holder: str | None = None) -> None:
        self.holder = holder or f"{socket.gethostname()[:64]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._poller = detection.Poller()
        self._deliverer = notifications.Deliverer()
        self._stopped = threading.Event()
        self._leads = False
        self._lease_until = 0.0
        self._index_at = 0.0
        self._history_at = 0.0
        self._sweep_at = 0.0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to tick in the background."""
        # What asks git or a cluster has threads of its own, so that a slow one never delays a result or another answer.
        for name, work, needs_lead in (
            ("controller", self.tick, False),
            ("answers", answers.handle_answers, True),
            ("poller", self._poller.poll, True),
            ("sweeper", self._sweep_pods, True),
            ("notifier", self._deliverer.turn, True),
        ):
            thread = threading.Thread(target=self._repeat, args=(work, needs_lead), name=f"dagctl-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Finish the current tick, give the lease back and end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._deliverer.join(_DELIVERY_SECONDS)
        if self._leads:
            with contextlib.suppress(Exception):
                transactions.run(lambda session: records.drop_lease(session, LEASE, self.holder))

    def _repeat(self, work: Callable[[], Any], needs_lead: bool) -> None:
        while not self._stopped.is_set():
            if self._leads or not needs_lead:
                self._guarded(work)
            self._stopped.wait(setting("tick_seconds"))

    def _guarded(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception:
            log.exception("The dagctl controller could not finish a turn; it goes on with the next")

    def tick(self) -> None:
        """One turn, if this process leads."""
        if not self._lead():
            return
        for work in (
            dispatching.dispatch_waiting_plans,
            dispatching.dispatch_waiting_runs,
            reconcile.reconcile_all,
            reconcile.wake_decided,
            self._heal_index,
            self._clean_history,
        ):
            self._guarded(work)

    def _lead(self) -> bool:
        """Take or keep the lease. It is renewed at half its time, so an idle turn costs no write."""
        now = time.monotonic()
        if self._leads and now < self._lease_until - _LEASE_SECONDS / 2:
            return True
        moment = utcnow()

        def work(session: Session) -> bool:
            return records.take_lease(session, LEASE, self.holder, moment, moment + timedelta(seconds=_LEASE_SECONDS))

        led, self._leads = self._leads, transactions.run(work)
        self._lease_until = now + _LEASE_SECONDS
        if self._leads and not led:
            log.info("This API server runs the dagctl controller (%s)", self.holder)
            organizations.default_organization_id()
            pods.warn_of_settings()
            notifications.targets()
        return self._leads

    def _heal_index(self) -> None:
        """Publish again what Dag generation reads, should somebody have edited or deleted it."""
        if time.monotonic() < self._index_at:
            return
        self._index_at = time.monotonic() + _INDEX_SECONDS

        def work(session: Session) -> None:
            records.touch_lock(session, "dags_index")
            publishing.publish_index(session)

        transactions.run(work)

    def _clean_history(self) -> None:
        """Remove finished runs beyond the history limits, now and then."""
        if time.monotonic() < self._history_at:
            return
        self._history_at = time.monotonic() + _HISTORY_SECONDS
        runs.clean_history()

    def _sweep_pods(self) -> None:
        """End pods whose steps are over, now and then; seldom where the API server may not ask the cluster."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + _SWEEP_SECONDS
        try:
            pods.sweep()
        except ClusterUnavailable as error:
            self._sweep_at = time.monotonic() + _SWEEP_AGAIN_SECONDS
            log.warning("Runner pods are left to their workers, for the API server cannot ask the cluster: %s", error)


@contextlib.asynccontextmanager
async def controller_lifespan(_app: object) -> AsyncIterator[None]:
    """Runs the controller for as long as the API server lives (ASGI lifespan)."""
    approvals.keep_answers()
    controller = Controller()
    controller.start()
    try:
        yield
    finally:
        controller.stop()
