"""Lets one writer at a time work on an environment, wherever in the cluster the steps run.

SQLMesh itself only notices a second writer at the very end of its backfill. So an execute or run holds a lock from before it
plans until it is done: in the state database where that is PostgreSQL, and as a file of this machine otherwise. A lock goes
with its holder's connection or process, so a killed step leaves none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dagctl_common.locks import lock_file, lock_key, wait

from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.projects import state_config

if TYPE_CHECKING:
    from sqlmesh.core.context import Context


class Locks:
    """Shared and exclusive locks of one project.

    :param step: The step.
    :param context: Tells where the state is.
    """

    def __init__(self, step: Step, context: Context) -> None:
        self._step = step
        self._project = str(step.job["project_id"])
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
        release = self._in_database(name, shared) if self._connection is not None else lock_file(self._step, name, shared)
        try:
            yield
        finally:
            release()

    def _in_database(self, name: str, shared: bool) -> Callable[[], None]:
        key, kind = lock_key(self._project, name), "_shared" if shared else ""
        wait(self._step, lambda: bool(self._ask(f"SELECT pg_try_advisory_lock{kind}(%s)", key)))

        def release() -> None:
            # Closing the connection gives it back as well; a lost connection has done so already.
            with contextlib.suppress(Exception):
                self._ask(f"SELECT pg_advisory_unlock{kind}(%s)", key)

        return release

    def _ask(self, query: str, key: int) -> object:
        with self._connection.cursor() as cursor:
            cursor.execute(query, (key,))
            return cursor.fetchone()[0]
