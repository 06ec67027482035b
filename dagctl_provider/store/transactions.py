"""One use case, one transaction, exactly one winner.

A use case hands in a function that reads, checks and writes. When it loses a race (another status than read, a unique key
taken, a lock the database broke) the function runs again on a fresh session, where its own checks now give the right answer.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from dagctl_provider.store.revisions import require_migrated
from dagctl_provider.store.session import Session, StaleState, is_lost_race, transaction

T = TypeVar("T")
log = logging.getLogger(__name__)

_ATTEMPTS = 12
_PATIENCE_SECONDS = 30.0


def run(work: Callable[[Session], T]) -> T:
    """Run ``work`` in a transaction of its own, again when it lost a race.

    :param work: Must be safe to repeat: everything it does is in the session.
    :raises DagctlError: ``database_not_migrated``.
    :raises Exception: whatever ``work`` raises; the race's own error after the last attempt, or half a minute.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction() as session:
                return work(session)
        except Exception as error:
            require_migrated(error)
            lost_race = isinstance(error, StaleState) or is_lost_race(error)
            if not lost_race or attempt == _ATTEMPTS or time.monotonic() > until:
                raise
            log.debug("Lost a race (%s), attempt %d", type(error).__name__, attempt)
            # SQLite has one writer for all; a short random pause lets it finish.
            time.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - a pause, no secret
    raise AssertionError("unreachable")
