"""How much one actor may have at once, so that nobody takes what all others need.

Counted by token or user and not by client address: behind a proxy everybody has the same address.
"""

from __future__ import annotations

import threading
from collections import Counter

from flask import g

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor

RETRY_SECONDS = 1

Who = tuple[str, str]


class AtOnce:
    """Counts what each actor has at once of one thing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Who] = Counter()

    def take(self, who: Who, most: int) -> bool:
        """Count one more, unless that would be more than ``most``."""
        with self._lock:
            if self._counts[who] >= most:
                return False
            self._counts[who] += 1
            return True

    def of(self, who: Who) -> int:
        """How many an actor has."""
        with self._lock:
            return self._counts.get(who, 0)

    def give(self, who: Who) -> None:
        """Count one less."""
        with self._lock:
            self._counts[who] -= 1
            if self._counts[who] <= 0:
                del self._counts[who]

    def __len__(self) -> int:
        with self._lock:
            return self._counts.total()


REQUESTS = AtOnce()


def identity(actor: Actor) -> Who:
    """What an actor is counted by."""
    return actor.kind, actor.identifier


def begin(actor: Actor) -> None:
    """Count the present request as one of the actor's, until :func:`end`.

    :raises DagctlError: ``too_many_requests``.
    """
    if "dagctl_counted" in g:
        return
    most = max(1, int(setting("requests_per_actor")))
    if not REQUESTS.take(identity(actor), most):
        detail = f"{most} requests of yours are being served."
        raise DagctlError("too_many_requests", detail, retry_after=RETRY_SECONDS)
    g.dagctl_counted = identity(actor)


def end(_: BaseException | None) -> None:
    """The end of a request, whatever became of it."""
    who = g.pop("dagctl_counted", None)
    if who is not None:
        REQUESTS.give(who)
    release_session()


def release_session() -> None:
    """Give back the thread's database session, which auth managers use and leave open."""
    from airflow import settings

    if settings.Session is not None:
        settings.Session.remove()
