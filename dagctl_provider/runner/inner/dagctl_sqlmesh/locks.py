"""Lets one writer at a time work on an environment, wherever in the cluster the steps run.

SQLMesh itself only notices a second writer at the very end of its backfill. So an execute or run holds a lock from before it
plans until it is done: in the state database where that is PostgreSQL, and as a file of this machine otherwise. A lock goes
with its holder's connection or process, so a killed step leaves none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.projects import state_config

POLL_SECONDS = 0.5


def lock_key(*parts: str) -> int:
    """Number of an advisory lock: 63 bits of a hash, so that projects sharing a database do not meet."""
    digest = hashlib.sha256("\x00".join(("dagctl", *parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Locks:
    """Shared and exclusive locks of one project.

    :param step: The step.
    :param context: Tells where the state is.
    """

    def __init__(self, step: Step, context: Any) -> None:
        self._step = step
        self._project = str(step.job["project_id"])
        self._folder = Path(step.job["locks"])
        self._connection: Any = None
        config = state_config(context)
        if config.type_ == "postgres":
            self._adapter = config.create_engine_adapter()
            self._connection = self._adapter.cursor.connection
            self._connection.rollback()
            self._connection.autocommit = True

    def close(self) -> None:
        """Give everything back."""
        if self._connection is not None:
            self._connection.close()

    @contextlib.contextmanager
    def hold(self, name: str, shared: bool = False) -> Iterator[None]:
        """Hold a lock, waiting for it with progress lines.

        :param name: What is locked inside the project.
        :param shared: Whether other shared holders are welcome.
        """
        release = self._in_database(name, shared) if self._connection is not None else self._in_file(name, shared)
        try:
            yield
        finally:
            release()

    def _in_database(self, name: str, shared: bool) -> Callable[[], None]:
        key, kind = lock_key(self._project, name), "_shared" if shared else ""
        self._wait(lambda: bool(self._ask(f"SELECT pg_try_advisory_lock{kind}(%s)", key)))

        def release() -> None:
            # Closing the connection gives it back as well; a lost connection has done so already.
            with contextlib.suppress(Exception):
                self._ask(f"SELECT pg_advisory_unlock{kind}(%s)", key)

        return release

    def _ask(self, query: str, key: int) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(query, (key,))
            return cursor.fetchone()[0]

    def _in_file(self, name: str, shared: bool) -> Callable[[], None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(str(self._folder / f"{lock_key(self._project, name):016x}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX

        def attempt() -> bool:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        self._wait(attempt)
        return lambda: os.close(descriptor)

    def _wait(self, attempt: Callable[[], bool]) -> None:
        started = time.monotonic()
        said: float | None = None
        while not attempt():
            self._step.canceller.check()
            now = time.monotonic()
            if said is None or now - said > 15:
                said = now
                text = f"waiting for another step of this project to finish ({now - started:.0f} s)"
                self._step.channel.line(text)
                self._step.channel.event("waiting_for_lock", seconds=round(now - started))
            time.sleep(POLL_SECONDS)
