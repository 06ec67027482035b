"""What is asked of dbt's adapters beyond what dbt does with them: end statements, and name sessions so that they can be found."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from dagctl_common import cancelling
from dagctl_common.frames import Step
from dagctl_common.sweeping import end_leftovers

if TYPE_CHECKING:
    from dbt.adapters.base.impl import BaseAdapter
    from dbt.adapters.contracts.connection import Credentials
    from dbt.config.runtime import RuntimeConfig

PATIENCE = 2.0
"""Seconds in which dbt ends its statements by itself, as its main thread is interrupted."""
_DEFAULT_NAME = "dbt"


class Canceller(cancelling.Canceller):
    """Ends dbt's statements where dbt itself cannot: its main thread may be waiting for one, of a hook for example.

    :param alive_fd: Pipe whose end tells that the outer program died.
    :param grace: Seconds from a cancel to the end of the whole process group.
    """

    def interrupt_statements(self) -> None:
        """Ask each adapter to cancel what its connections are executing."""
        if time.monotonic() < self.cancelled_at + PATIENCE:
            return
        for adapter in _adapters():
            for handle in _open_handles(adapter):
                # What psycopg2 offers needs no privilege and no further login.
                with contextlib.suppress(Exception):
                    handle.cancel()
            with contextlib.suppress(Exception):
                if adapter.is_cancelable():
                    with adapter.connection_named("dagctl_cancel"):
                        adapter.cancel_open_connections()


class Cancellable(Protocol):
    """What a driver offers to end the statement of a connection."""

    def cancel(self) -> object:
        """End it."""


def _adapters() -> list[BaseAdapter]:
    """dbt's adapters, as soon as there are any."""
    factory = getattr(sys.modules.get("dbt.adapters.factory"), "FACTORY", None)
    return list(factory.adapters.values()) if factory else []


def _open_handles(adapter: BaseAdapter) -> Iterator[Cancellable]:
    for connection in list(adapter.connections.thread_connections.values()):
        # To ask a connection that is not open yet for its handle would open it.
        if connection.state == "open" and callable(getattr(connection.handle, "cancel", None)):
            yield connection.handle


def hold_open(credentials: Credentials) -> None:
    """Have dbt keep a DuckDB file open to the end: else it closes it whenever no model runs, and the driver may die of that.

    Seen once, with DuckDB 1.1.3, in the close between two models: "PyEval_SaveThread: the function must be called with the GIL
    held".

    :param credentials: Of dbt's config, before the first connection.
    """
    if credentials.type == "duckdb" and hasattr(credentials, "keep_open"):
        credentials.keep_open = True


def close_held() -> None:
    """Close what :func:`hold_open` held, unless somebody still uses it; after dbt has ended, for nothing is tidied up later."""
    for adapter in _adapters():
        environment = getattr(adapter.connections, "_ENV", None)
        if environment is not None and getattr(environment, "handle_count", 1) <= 0:
            with contextlib.suppress(Exception):
                environment.close()


def name_sessions(step: Step, credentials: Credentials) -> None:
    """Give the sessions in a PostgreSQL warehouse the step's name, unless the profile has one of its own.

    :param credentials: Of dbt's config; connections opened from now on use them.
    """
    if credentials.type == "postgres" and credentials.application_name in (None, "", _DEFAULT_NAME):
        credentials.application_name = step.job["application_name"]


def sweep(step: Step, config: RuntimeConfig) -> None:
    """End statements that a killed step left running, where the warehouse is PostgreSQL; others are left alone.

    :param step: Names the sessions.
    :param config: dbt's config of project and profile.
    """
    if config.credentials.type != "postgres":
        return
    from dbt.adapters.factory import get_adapter

    adapter = get_adapter(config)

    def ask(query: str) -> int:
        with adapter.connection_named("dagctl_sweep"):
            return int(adapter.execute(query, fetch=True)[1].rows[0][0])

    end_leftovers(step, ask)
