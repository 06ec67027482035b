"""Requests that wait for something outside: so many at once, some more in a queue, and for the rest an honest answer.

A git remote or a cluster that hangs holds each request that asks it for half a minute. If they could have all threads, nobody
could read any more. So the waiting have places of their own, fewer than there are threads. The controller has a pace of its own
and needs no place: only what was asked for at a door is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError

RETRY_SECONDS = 5
"""After which time somebody who found no place may try again."""

_asked_at_a_door: ContextVar[bool] = ContextVar("asked_at_a_door", default=False)


class Places:
    """Where requests wait for something outside; one for the process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._queued = 0

    @contextmanager
    def place(self, most: int, queue: int, patience: float) -> Iterator[None]:
        """Have one of ``most`` places, after a time in the queue if need be.

        :param queue: How many may wait for a place.
        :param patience: Seconds one may wait for it.
        :raises DagctlError: ``server_busy``.
        """
        self._enter(most, queue, patience)
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify()

    def _enter(self, most: int, queue: int, patience: float) -> None:
        until = time.monotonic() + patience
        with self._changed:
            if self._inside >= most and self._queued >= queue:
                raise _busy()
            self._queued += 1
            try:
                if not self._changed.wait_for(lambda: self._inside < most, max(0.0, until - time.monotonic())):
                    raise _busy()
                self._inside += 1
            finally:
                self._queued -= 1

    def __len__(self) -> int:
        """How many have a place or wait for one."""
        with self._changed:
            return self._inside + self._queued


PLACES = Places()
LOGS = Places()
"""Places to wait for logs, which may lie on another machine; apart, so that no git remote keeps anybody from reading them."""

_LOGS_AT_ONCE = 4
"""Who reads a log holds a connection to the database meanwhile, and Airflow has fifteen of them by default."""


def _busy() -> DagctlError:
    detail = "Too many requests wait for git remotes, the cluster or logs already."
    return DagctlError("server_busy", detail, retry_after=RETRY_SECONDS)


def most_waiting() -> int:
    """How many requests may have a place or wait for one: so many threads are never there for the others."""
    return max(1, int(setting("outside_requests"))) + _LOGS_AT_ONCE + 2 * _queue()


def _queue() -> int:
    return max(0, int(setting("outside_queue")))


@contextmanager
def at_a_door() -> Iterator[None]:
    """What is done in here was asked for from outside, and needs a place to wait."""
    before = _asked_at_a_door.set(True)
    try:
        yield
    finally:
        _asked_at_a_door.reset(before)


def outside() -> AbstractContextManager[None]:
    """Have a place while a git remote, a cluster or a server is asked.

    :raises DagctlError: ``server_busy`` when too many have one.
    """
    return _place(PLACES, max(1, int(setting("outside_requests"))))


def reading_log() -> AbstractContextManager[None]:
    """Have a place while a log is read, before the database is asked for anything.

    :raises DagctlError: ``server_busy`` when too many have one.
    """
    return _place(LOGS, _LOGS_AT_ONCE)


def _place(places: Places, most: int) -> AbstractContextManager[None]:
    return places.place(most, _queue(), setting("outside_patience")) if _asked_at_a_door.get() else nullcontext()
