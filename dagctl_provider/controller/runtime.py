"""Starts and stops the controller with the API server.

A thread, not a task of the event loop: everything it does is blocking database and git work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.git import environment, processes
from dagctl_provider.orchestration import approvals
from dagctl_provider.pods.live_pods import ClusterUnavailable
from dagctl_provider.services import organizations
from dagctl_provider.services.lifecycle import publishing, telling
from dagctl_provider.services.outside import exposure, pods
from dagctl_provider.services.turns import (
    answers,
    deliveries,
    detection,
    dispatching,
    granting,
    reconcile,
    recording,
    scheduled_runs,
    stray_pods,
)
from dagctl_provider.store import leases, transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

LEASE = "controller"
_LEASE_SECONDS = 20.0
_INDEX_SECONDS = 60.0
_HISTORY_SECONDS = 60.0
_SWEEP_SECONDS = 15.0
_SWEEP_LONGEST_PAUSE = 600.0
# What has not come to its end by then is left behind: it is a transaction or can be done again.
_STOP_SECONDS = 5.0


class Controller:
    """Ticks while it holds the lease: dispatches, pulls results, handles answers, polls git.

    The lease saves work and nothing more. A process that was paused, or whose clock is wrong, may believe for a moment that it
    leads beside another one; so every part is a transaction that starts from the rows as they are, and may be done twice.

    :param holder: Name of this process in the lease row.
    """

    def __init__(self, holder: str | None = None) -> None:
        self.holder = holder or f"{socket.gethostname()[:64]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._poller = detection.Poller()
        self._recorder = recording.Recorder()
        self._deliverer = deliveries.Deliverer()
        self._stopped = threading.Event()
        self._lease_until = 0.0
        self._index_at = 0.0
        self._history_at = 0.0
        self._sweep_at = 0.0
        self._tell_at = 0.0
        self._sweep_pause = _SWEEP_SECONDS
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
        """Give the lease back and end. All parts are told at once, and have the same few seconds for what they are doing."""
        self._stopped.set()
        until = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._deliverer.join(max(0.0, until - time.monotonic()))
        if self._leads:
            with contextlib.suppress(Exception):
                transactions.run(lambda session: leases.drop_lease(session, LEASE, self.holder))

    def _repeat(self, work: Callable[[], object], needs_lead: bool) -> None:
        while not self._stopped.is_set():
            if self._leads or not needs_lead:
                self._guarded(work)
            self._stopped.wait(setting("tick_seconds"))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            if isinstance(error, DagctlError) and error.code == "database_not_migrated":
                self._tell_not_migrated(error)
            elif not self._stopped.is_set():
                log.exception("The dagctl controller could not finish a turn; it goes on with the next")

    def _tell_not_migrated(self, error: DagctlError) -> None:
        """One line a minute, for it is the same for each part of each turn until somebody migrates."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + 60
            log.error("The dagctl controller waits: %s %s", error.detail, error.kind.hint)

    def tick(self) -> None:
        """One turn, for as long as this process leads."""
        for work in (
            dispatching.dispatch_waiting_plans,
            dispatching.dispatch_waiting_runs,
            scheduled_runs.follow,
            granting.grant_all,
            reconcile.reconcile_all,
            reconcile.wake_decided,
            self._recorder.turn,
            self._heal_index,
            self._clean_history,
        ):
            if self._stopped.is_set() or not self._lead():
                return
            self._guarded(work)

    @property
    def _leads(self) -> bool:
        return time.monotonic() < self._lease_until

    def _lead(self) -> bool:
        """Take or keep the lease. It is renewed at half its time, so an idle turn costs no write."""
        now = time.monotonic()
        if now < self._lease_until - _LEASE_SECONDS / 2:
            return True
        led, moment = self._leads, utcnow()

        def work(session: Session) -> bool:
            return leases.take_lease(session, LEASE, self.holder, moment, moment + timedelta(seconds=_LEASE_SECONDS))

        leads = transactions.run(work)
        self._lease_until = now + _LEASE_SECONDS if leads else 0.0
        if leads and not led:
            log.info("This API server runs the dagctl controller (%s)", self.holder)
            organizations.default_organization_id()
            pods.warn_of_settings()
            exposure.warn_of_exposure()
            telling.targets()
        return leads

    def _heal_index(self) -> None:
        """Publish again, now and then, what Dag generation and runs read, should somebody have edited or deleted it."""
        if time.monotonic() < self._index_at:
            return
        self._index_at = time.monotonic() + _INDEX_SECONDS
        transactions.run(publishing.heal)

    def _clean_history(self) -> None:
        """Remove finished runs beyond the history limits, and metrics that are too old, now and then."""
        if time.monotonic() < self._history_at:
            return
        self._history_at = time.monotonic() + _HISTORY_SECONDS
        scheduled_runs.clean_history()
        recording.clean()

    def _sweep_pods(self) -> None:
        """End pods whose steps are over, now and then; ever more seldom while the API server cannot ask the cluster."""
        if time.monotonic() < self._sweep_at:
            return
        try:
            stray_pods.sweep()
            self._sweep_pause = _SWEEP_SECONDS
        except ClusterUnavailable as error:
            self._sweep_pause = min(self._sweep_pause * 2, _SWEEP_LONGEST_PAUSE)
            log.warning(
                "Runner pods are left to their workers, for the API server cannot ask the cluster: %s; again in %.0f s",
                error,
                self._sweep_pause,
            )
        self._sweep_at = time.monotonic() + self._sweep_pause


@contextlib.asynccontextmanager
async def controller_lifespan(_app: object) -> AsyncIterator[None]:
    """Runs the controller for as long as the API server lives (ASGI lifespan)."""
    approvals.keep_answers()
    environment.sweep()
    processes.ending.clear()
    controller = Controller()
    controller.start()
    try:
        yield
    finally:
        processes.ending.set()
        # Off the event loop, which a thread that is to end may be waiting for.
        await asyncio.to_thread(controller.stop)
